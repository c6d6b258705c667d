package webhook

import (
	"net/http"

	"golang.org/x/sync/semaphore"
)

const (
	// smallRequest is what requests of ordinary pods stay below. They are weighed apart from larger ones, so that those
	// cannot keep them out.
	smallRequest = 256 << 10
	// maxSmallInFlight and maxLargeInFlight bound all requests that are held at one time: any pod of the cluster can post to
	// the Service. The index, the answer and its copies come to about ten times the bytes of an ordinary request.
	maxSmallInFlight = 16 << 20
	maxLargeInFlight = 16 << 20
)

var (
	smallInFlight = semaphore.NewWeighted(maxSmallInFlight)
	largeInFlight = semaphore.NewWeighted(maxLargeInFlight)
)

// weight is what one request takes of the bytes in flight. It grows as bytes arrive, not as they are announced: an idle
// connection holds nothing.
type weight struct {
	of   *semaphore.Weighted
	held int64
}

func weightFor(req *http.Request) *weight {
	if req.ContentLength >= 0 && req.ContentLength <= smallRequest {
		return &weight{of: smallInFlight}
	}
	return &weight{of: largeInFlight}
}

// take adds bytes and reports whether there was room for them.
func (w *weight) take(n int) bool {
	if !w.of.TryAcquire(int64(n)) {
		return false
	}
	w.held += int64(n)
	return true
}

func (w *weight) release() { w.of.Release(w.held) }

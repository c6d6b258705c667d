package webhook

import (
	"context"
	"net/http"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/dagger-inject/dagger-inject/inject"
)

const (
	// smallRequest is the size below which requests of ordinary pods, and their answers, stay. They count separately from
	// larger ones, which therefore cannot keep them out.
	smallRequest = 256 << 10
	// maxSmallInFlight and maxLargeInFlight bound the bytes of all requests in memory at one time: any pod of the cluster can
	// post to the Service. The index, the answer and its copies take about ten times the bytes of an ordinary request.
	maxSmallInFlight = 16 << 20
	maxLargeInFlight = 16 << 20
	// answerCopies is how many copies of the additions exist at one time: rendered, as a patch, and in base64 in the answer.
	answerCopies = 4
	// answerPatience is how long a request waits for room for a large answer.
	answerPatience = time.Second
)

var (
	smallInFlight = semaphore.NewWeighted(maxSmallInFlight)
	largeInFlight = semaphore.NewWeighted(maxLargeInFlight)
)

// weight is one request's share of the bytes in flight. It grows with the bytes that arrive, not with those announced: an idle
// connection holds none.
type weight struct {
	of   *semaphore.Weighted
	held int64
	// answer is the share of a large answer in largeInFlight.
	answer int64
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

// takeAnswer reserves room for an answer that may add so many bytes to its request, before the answer is made. Large answers
// count with large requests and wait for each other, so that a namespace whose policy makes large answers from small requests
// does not delay ordinary pods of others.
func (w *weight) takeAnswer(ctx context.Context, added int) error {
	n := int64(added) * answerCopies
	if n <= smallRequest {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, answerPatience)
	defer cancel()
	if err := largeInFlight.Acquire(ctx, n); err != nil {
		return tooMany()
	}
	w.answer = n
	return nil
}

func (w *weight) release() {
	w.of.Release(w.held)
	largeInFlight.Release(w.answer)
}

func tooMany() error {
	return &httpError{http.StatusServiceUnavailable, inject.ReasonInternalError, "too many requests at one time: try again"}
}

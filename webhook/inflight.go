package webhook

import (
	"context"
	"net/http"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/dagger-inject/dagger-inject/inject"
)

const (
	// smallRequest is what requests of ordinary pods, and their answers, stay below. They are weighed apart from larger ones,
	// which therefore cannot keep them out.
	smallRequest = 256 << 10
	// maxSmallInFlight and maxLargeInFlight bound all requests that are held at one time: any pod of the cluster can post to
	// the Service. The index, the answer and its copies come to about ten times the bytes of an ordinary request.
	maxSmallInFlight = 16 << 20
	maxLargeInFlight = 16 << 20
	// answerCopies is how many copies of what is added exist at one time: rendered, as a patch, and in base64 in the answer.
	answerCopies = 4
	// answerPatience is how long a request waits for room for a large answer.
	answerPatience = time.Second
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
	// answer is what a large answer takes, of largeInFlight.
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

// takeAnswer adds what an answer takes that may have that many bytes more than its request, before it is made. Large answers
// are weighed with large requests and wait for one another, so that a namespace whose policy makes large answers of small
// requests delays nobody's ordinary pods.
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

package webhook

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

const (
	// MaxRequestBytes bounds one request. The API server accepts objects of up to 3 MiB; managedFields and the review around
	// it come on top.
	MaxRequestBytes = 7 << 20
	// bodyTimeout and answerTimeout bound how long a request may take to arrive, and its answer to be read.
	bodyTimeout   = 3 * time.Second
	answerTimeout = 10 * time.Second
	// keptValues is the largest index that a pooled document keeps: that of a review of about 100 KB.
	keptValues = 8192
	// keptBytes is the largest size that a buffer's other parts keep.
	keptBytes = 256 << 10
)

var contentType = []string{"application/json"}

// buffers pools the memory for requests and their indexes.
var buffers = sync.Pool{New: func() any { return &buffer{} }}

type buffer struct {
	body          []byte
	answer, patch []byte
	doc           rawjson.Document
}

func (b *buffer) release() {
	b.doc.Reset(keptValues)
	for _, memory := range []*[]byte{&b.body, &b.answer, &b.patch} {
		if cap(*memory) > keptBytes {
			*memory = nil
		}
	}
	buffers.Put(b)
}

// exchange is one request and its answer, bounded in time and memory.
type exchange struct {
	*buffer
	*weight
	// unsent is true if an answer could not be written: the server may still be reading it.
	unsent bool
}

// begin sets a request's deadlines and gives it a buffer.
func begin(w http.ResponseWriter, req *http.Request) *exchange {
	// A test's recorder does not support it, and elsewhere an error changes nothing.
	deadlines, now := http.NewResponseController(w), time.Now()
	_ = deadlines.SetReadDeadline(now.Add(bodyTimeout))
	_ = deadlines.SetWriteDeadline(now.Add(answerTimeout))
	return &exchange{buffer: buffers.Get().(*buffer), weight: weightFor(req)}
}

// end releases what the exchange held. It is called once the answer is written: while a client does not read its answer, its
// memory still counts.
func (x *exchange) end() {
	x.weight.release()
	if !x.unsent {
		x.buffer.release()
	}
}

// read checks a request's headers and returns its body.
func (x *exchange) read(req *http.Request) (string, error) {
	if err := checkHeaders(req); err != nil {
		return "", err
	}
	return x.buffer.read(req, x.weight)
}

// write sends an answer.
func (x *exchange) write(w http.ResponseWriter, answer []byte) {
	header := w.Header()
	header["Content-Type"] = contentType
	header["Content-Length"] = []string{strconv.Itoa(len(answer))}
	_, err := w.Write(answer)
	x.unsent = err != nil
}

func checkHeaders(req *http.Request) error {
	if req.Method != http.MethodPost {
		return badRequest(http.StatusMethodNotAllowed, "want a POST of an AdmissionReview, got %.20q", req.Method)
	}
	if given := req.Header.Get("Content-Type"); given != contentType[0] { // as the API server writes it
		if t, _, err := mime.ParseMediaType(given); err != nil || t != contentType[0] {
			return badRequest(http.StatusUnsupportedMediaType, "want the content type application/json, got %.60q", given)
		}
	}
	if req.ContentLength > MaxRequestBytes {
		return tooLarge()
	}
	return nil
}

func tooLarge() error {
	return badRequest(http.StatusRequestEntityTooLarge, "the request has more than the %d bytes accepted", MaxRequestBytes)
}

// chunk is how much of a body is read before it counts towards the bytes in flight.
const chunk = 16 << 10

// read returns the body. The text is a copy, since values of the document point into it while the buffer is reused.
func (b *buffer) read(req *http.Request, weight *weight) (string, error) {
	b.body = b.body[:0]
	for {
		if cap(b.body)-len(b.body) < chunk {
			b.body = slices.Grow(b.body, max(chunk, len(b.body)))
		}
		n, err := req.Body.Read(b.body[len(b.body):min(cap(b.body), len(b.body)+chunk)])
		b.body = b.body[:len(b.body)+n]
		if len(b.body) > MaxRequestBytes {
			return "", tooLarge()
		}
		if !weight.take(n) {
			return "", tooMany()
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", badRequest(http.StatusBadRequest, "reading the request: %v", err)
		}
	}
	return string(b.body), nil
}

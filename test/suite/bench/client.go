package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// connections is how many requests are under way at a time, each on a connection of its own that is kept.
const connections = 8

// post sends one review and returns the answer.
func post(ctx context.Context, client *http.Client, c *child, r *review, answer *bytes.Buffer) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+r.path+"?timeout=3s", bytes.NewReader(r.body))
	if err != nil {
		return err
	}
	request.Header["Content-Type"] = []string{"application/json"}
	request.Header["Accept"] = []string{"application/json, */*"}
	request.Header["User-Agent"] = []string{"kube-apiserver-admission"}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	answer.Reset()
	if _, err := answer.ReadFrom(response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s with %s: %.500s", c.server, r.name, response.Status, answer)
	}
	if response.ProtoMajor != 1 {
		return fmt.Errorf("%s speaks %s", c.server, response.Proto)
	}
	return nil
}

// send sends a load's reviews in turn over all connections until enough reports true for the number of requests made and
// the time passed, and returns how long each took.
func send(
	ctx context.Context, client *http.Client, c *child, l load, enough func(requests int, took time.Duration) bool,
) ([]time.Duration, error) {
	var (
		next    atomic.Int64
		workers sync.WaitGroup
		perWork [connections][]time.Duration
		errs    [connections]error
		started = time.Now()
	)
	for w := range connections {
		workers.Go(func() {
			var answer bytes.Buffer
			for errs[w] == nil {
				n := int(next.Add(1)) - 1
				sent := time.Now()
				if enough(n, sent.Sub(started)) {
					return
				}
				errs[w] = post(ctx, client, c, l.reviews[n%len(l.reviews)], &answer)
				perWork[w] = append(perWork[w], time.Since(sent))
			}
		})
	}
	workers.Wait()
	var took []time.Duration
	for w := range connections {
		if errs[w] != nil {
			return nil, errs[w]
		}
		took = append(took, perWork[w]...)
	}
	return took, nil
}

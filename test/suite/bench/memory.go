package main

import (
	"context"
	"net/http"
	"time"

	"github.com/dagger-inject/dagger-inject/test/suite/bench/figures"
)

const earlyRequests = 1000

// measureMemory sends the load to a server that has had no other request.
func measureMemory(ctx context.Context, client *http.Client, c *child, l load, requests int) (m figures.Memory, err error) {
	m.EarlyRequests, m.LateRequests = earlyRequests, requests
	if m.EarlyRSS, m.EarlyKept, err = sendAndRead(ctx, client, c, l, earlyRequests); err != nil {
		return m, err
	}
	m.LateRSS, m.LateKept, err = sendAndRead(ctx, client, c, l, requests-earlyRequests)
	return m, err
}

// sendAndRead returns what is resident after so many requests, and after a collection.
func sendAndRead(ctx context.Context, client *http.Client, c *child, l load, requests int) (rss, kept int64, err error) {
	if _, err := send(ctx, client, c, l, func(n int, _ time.Duration) bool { return n >= requests }); err != nil {
		return 0, 0, err
	}
	amid, err := c.usage(ctx, false)
	if err != nil {
		return 0, 0, err
	}
	collected, err := c.usage(ctx, true)
	return amid.RSS, collected.RSS, err
}

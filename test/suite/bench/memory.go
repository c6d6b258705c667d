package main

import (
	"context"
	"net/http"
	"time"
)

// memory is the resident memory of our server, early and late in its life, in bytes.
type memory struct {
	EarlyRequests int `json:"earlyRequests"`
	LateRequests  int `json:"lateRequests"`
	// EarlyRSS and LateRSS are as the process was, amid its work.
	EarlyRSS int64 `json:"earlyRSS"`
	LateRSS  int64 `json:"lateRSS"`
	// EarlyKept and LateKept are after a collection: what it does not let go of.
	EarlyKept int64 `json:"earlyKept"`
	LateKept  int64 `json:"lateKept"`
}

const earlyRequests = 1000

// measureMemory sends the load to a server that has had no other request.
func measureMemory(ctx context.Context, client *http.Client, c *child, l load, requests int) (*memory, error) {
	m := &memory{EarlyRequests: earlyRequests, LateRequests: requests}
	if err := m.sendAndRead(ctx, client, c, l, earlyRequests, &m.EarlyRSS, &m.EarlyKept); err != nil {
		return nil, err
	}
	if err := m.sendAndRead(ctx, client, c, l, requests-earlyRequests, &m.LateRSS, &m.LateKept); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *memory) sendAndRead(ctx context.Context, client *http.Client, c *child, l load, requests int, rss, kept *int64) error {
	if _, err := send(ctx, client, c, l, func(n int, _ time.Duration) bool { return n >= requests }); err != nil {
		return err
	}
	for _, reading := range []struct {
		collect bool
		to      *int64
	}{{false, rss}, {true, kept}} {
		used, err := c.usage(ctx, reading.collect)
		if err != nil {
			return err
		}
		*reading.to = used.RSS
	}
	return nil
}

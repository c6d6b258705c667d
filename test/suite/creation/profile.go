package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// profile writes a CPU profile of the API server, while pods of ours are created.
func (c *creator) profile(ctx context.Context, path string) (err error) {
	const seconds = 10
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	profiled := make(chan error, 1)
	go func() { profiled <- c.download(ctx, fmt.Sprintf("/debug/pprof/profile?seconds=%d", seconds), file) }()
	for began := time.Now(); time.Since(began) < (seconds+1)*time.Second; {
		if _, err := c.burst(ctx, variantOurs, 1, 20); err != nil {
			return err
		}
	}
	return <-profiled
}

// download gives what the API server answers at a path.
func (c *creator) download(ctx context.Context, path string, to io.Writer) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.host+path, nil)
	if err != nil {
		return err
	}
	response, err := c.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, response.Status)
	}
	_, err = io.Copy(to, response.Body)
	return err
}

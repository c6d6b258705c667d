// Package poll waits until a condition holds, in rigs and in tests.
package poll

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// fatal is an error that no further try can change.
type fatal struct{ error }

func (f fatal) Unwrap() error { return f.error }

// Fatal marks an error that no further try can change: Until then returns at once. Nil stays nil.
func Fatal(err error) error {
	if err == nil {
		return nil
	}
	return fatal{err}
}

// Until calls try until it returns no error, at an interval and within a time limit. Its error names the condition and the
// error of the last try.
func Until(ctx context.Context, what string, every, limit time.Duration, try func(context.Context) error) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, every, limit, true, func(ctx context.Context) (bool, error) {
		last = try(ctx)
		if final := (fatal{}); errors.As(last, &final) {
			return false, final.error
		}
		return last == nil, nil
	})
	switch {
	case err == nil:
		return nil
	case last == nil || errors.Is(last, err):
		return fmt.Errorf("waiting until %s: %w", what, err)
	default:
		return fmt.Errorf("waiting until %s: %w: %w", what, err, last)
	}
}

// Healthy is a try that succeeds once an address answers 200.
func Healthy(client *http.Client, url string) func(context.Context) error {
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s", url, response.Status)
		}
		return nil
	}
}

package poll

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

var errNotYet = errors.New("not yet")

func TestUntilTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		require.NoError(t, Until(t.Context(), "it is there", time.Second, time.Minute, func(context.Context) error {
			if tries++; tries < 3 {
				return errNotYet
			}
			return nil
		}))
		require.Equal(t, 3, tries)
	})
}

func TestUntilSaysWhatItWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		err := Until(t.Context(), "it is there", time.Second, time.Minute, func(context.Context) error { return errNotYet })
		require.Equal(t, time.Minute, time.Since(began))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.EqualError(t, err, "waiting until it is there: context deadline exceeded: not yet")
	})
}

func TestUntilEndsWithAFatalError(t *testing.T) {
	tries := 0
	err := Until(t.Context(), "it is there", time.Hour, 2*time.Hour, func(context.Context) error {
		tries++
		return Fatal(errNotYet)
	})
	require.EqualError(t, err, "waiting until it is there: not yet")
	require.ErrorIs(t, err, errNotYet)
	require.Equal(t, 1, tries)
	require.NoError(t, Fatal(nil))
}

func TestUntilEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	err := Until(ctx, "it is there", time.Hour, 2*time.Hour, func(context.Context) error {
		cancel()
		return errNotYet
	})
	require.ErrorIs(t, err, context.Canceled)
}

// Package testmain runs the tests of a package around something that they share, such as a control plane.
package testmain

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// Run starts what the tests share, runs them, stops it, and returns the exit code. Start returns how to stop what it has
// started, also with an error; nil stops nothing.
func Run(m *testing.M, start func(context.Context) (stop func() error, err error)) int {
	// controller-runtime complains if no logger is set.
	log.SetLogger(logr.New(log.NullLogSink{}))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stop, err := start(ctx)
	code := 1
	if err == nil {
		code = m.Run()
	}
	if stop != nil {
		if stopErr := stop(); stopErr != nil {
			fmt.Fprintln(os.Stderr, stopErr)
			code = max(code, 1)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return code
}

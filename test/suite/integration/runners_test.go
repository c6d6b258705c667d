package integration

import (
	"os"
	"testing"
)

// needsRunners skips a test in which a runner system's own code creates pods, unless make runners asks for it.
func needsRunners(t *testing.T) {
	t.Helper()
	if os.Getenv("RUNNERS") != "1" {
		t.Skip("make runners runs it: it builds a runner system from its modules, which takes minutes the first time")
	}
}

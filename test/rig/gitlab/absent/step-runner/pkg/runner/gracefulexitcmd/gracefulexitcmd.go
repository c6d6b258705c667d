// Package gracefulexitcmd declares the commands that steps run in a job's container.
package gracefulexitcmd

import (
	"context"
	"os/exec"
	"time"
)

// New returns a command.
func New(ctx context.Context, _ time.Duration, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, name, args...)
}

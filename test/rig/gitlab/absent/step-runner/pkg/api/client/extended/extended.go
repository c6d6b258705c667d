// Package extended declares the client of a step runner, which a job with a script does not use.
package extended

import (
	"context"
	"errors"
	"io"

	"gitlab.com/gitlab-org/step-runner/pkg/api/client"
)

var errAbsent = errors.New("steps are not part of this build")

// FollowOutput is where a job's log goes.
type FollowOutput struct{ Logs io.Writer }

// Client is a client.
type Client struct{}

// New fails.
func New(any) (*Client, error) { return nil, errAbsent }

// CloseConn does nothing.
func (*Client) CloseConn() error { return nil }

// Cancel fails.
func (*Client) Cancel(context.Context, string) error { return errAbsent }

// RunAndFollow fails.
func (*Client) RunAndFollow(context.Context, *client.RunRequest, *FollowOutput) (client.Status, error) {
	return client.Status{}, errAbsent
}

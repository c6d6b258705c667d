// Package proto is what tests of GitLab Runner's own packages import; go mod tidy looks for it.
package proto

package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"

	"github.com/dagger-inject/dagger-inject/inject"
)

const (
	// versionEvery is how often the API server is asked for its version, which changes with an upgrade or a roll-back.
	versionEvery = 5 * time.Minute
	// versionRetry is how long after a failure it is asked again.
	versionRetry = 5 * time.Second
)

// serverVersion knows which features the API server's version has, and asks for the version outside of requests. Until it has
// an answer, it assumes an old server: that works for every pod, even if it is not the best choice.
type serverVersion struct {
	client discovery.ServerVersionInterface
	log    *slog.Logger
	last   string
	asked  atomic.Bool
	images atomic.Bool
}

func newServerVersion(config *rest.Config, log *slog.Logger) (*serverVersion, error) {
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("asking for the server's version: %w", err)
	}
	return &serverVersion{client: client, log: log}, nil
}

// Start asks until ctx ends.
func (s *serverVersion) Start(ctx context.Context) error {
	var said string
	for {
		wait := versionEvery
		err := s.ask()
		s.asked.Store(true)
		if err != nil {
			// Log each cause once, since it asks again until it has an answer.
			if said != err.Error() {
				s.log.Warn("the API server's version is not known", "error", err)
			}
			wait = versionRetry
		}
		said = fmt.Sprint(err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// NeedLeaderElection says that every replica asks.
func (*serverVersion) NeedLeaderElection() bool { return false }

// ready is the readiness check that it has asked once, so that the first pods get the same result as later ones.
func (s *serverVersion) ready(*http.Request) error {
	if !s.asked.Load() {
		return errors.New("the API server has not been asked for its version yet")
	}
	return nil
}

// imageVolumes reports whether the server has image volumes.
func (s *serverVersion) imageVolumes() bool { return s.images.Load() }

func (s *serverVersion) ask() error {
	info, err := s.client.ServerVersion()
	if err != nil {
		return err
	}
	has, err := inject.HasImageVolumes(info.GitVersion)
	if err != nil {
		return err
	}
	s.images.Store(has)
	if info.GitVersion != s.last {
		s.last = info.GitVersion
		s.log.Info("the API server's version", "version", info.GitVersion, "imageVolumes", has)
	}
	return nil
}

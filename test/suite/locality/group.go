package main

import "sync"

// group runs functions, so many at a time, and keeps their first error.
type group struct {
	slots   chan struct{}
	running sync.WaitGroup
	mu      sync.Mutex
	err     error
}

// writers is how many objects are written at a time.
const writers = 8

func newGroup() *group { return &group{slots: make(chan struct{}, writers)} }

// do runs a function once there is room.
func (g *group) do(f func() error) {
	g.slots <- struct{}{}
	g.running.Go(func() {
		defer func() { <-g.slots }()
		if err := f(); err != nil {
			g.mu.Lock()
			defer g.mu.Unlock()
			if g.err == nil {
				g.err = err
			}
		}
	})
}

// wait returns once all functions have.
func (g *group) wait() error {
	g.running.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

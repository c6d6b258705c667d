package webhook

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

const (
	// gcPercent collects garbage half as often as Go does by default: without policies of namespaces a few megabytes are
	// alive, and at the default the collector takes more of a request's time than the decision.
	gcPercent = 200
	// memoryLimit is what the Go runtime is to keep to while little is alive, and largeMemoryLimit while up to 40 MiB are: with
	// policies of thousands of namespaces, gcPercent would let far more garbage gather than requests need. The program's own
	// pages come on top, some 25 MiB: a replica stays below 64 MiB with 1,000 namespaces, and below 96 MiB with 10,000.
	memoryLimit      = 36 << 20
	largeMemoryLimit = 64 << 20
)

// tuneGC says when garbage is collected, as far as the environment does not.
func tuneGC() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	debug.SetMemoryLimit(memoryLimit)
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	afterEachCollection(func() {
		metrics.Read(live)
		debug.SetMemoryLimit(limitFor(int64(live[0].Value.Uint64())))
	})
}

// limitFor returns the memory limit with so many bytes alive. One near to them would have the collector run all the time: it
// is twice as much, up to largeMemoryLimit, and beyond that what the runtime needs beside, for fragments and for itself, is half
// as much again.
func limitFor(live int64) int64 {
	return max(memoryLimit, min(2*live, largeMemoryLimit), 2*live-largeMemoryLimit/4)
}

// afterEachCollection calls f after every collection from now on.
func afterEachCollection(f func()) {
	type sentinel struct{ _ *sentinel }
	runtime.AddCleanup(&sentinel{}, func(f func()) {
		f()
		afterEachCollection(f)
	}, f)
}

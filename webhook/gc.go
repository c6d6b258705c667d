package webhook

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

const (
	// gcPercent collects garbage a quarter as often as Go does by default: without policies of namespaces a few megabytes are
	// alive, and at the default the collector takes more of a request's time than the decision. A busy replica of that kind takes
	// 53 MiB, 10 more than at 200, and saves a tenth of a request's CPU. Where more is alive, memoryLimit decides.
	gcPercent = 400
	// memoryLimit is the Go runtime's memory limit while little memory is live, and largeMemoryLimit its limit while up to 37
	// MiB are: with policies of thousands of namespaces, gcPercent alone would let far more garbage gather than requests need.
	// The program's own pages, some 25 MiB, come on top: a replica stays below 64 MiB with 1,000 namespaces, and below 96 MiB
	// with 10,000.
	memoryLimit      = 36 << 20
	largeMemoryLimit = 56 << 20
)

// tuneGC sets when garbage is collected, unless the environment does.
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

// limitFor returns the memory limit for a number of live bytes. A limit close to that number would keep the collector running
// all the time. It is twice the number, up to largeMemoryLimit; beyond that it is one and a half times the number, since the
// runtime needs memory for fragments and for itself.
func limitFor(live int64) int64 {
	return max(memoryLimit, min(2*live, largeMemoryLimit), live+live/2)
}

// afterEachCollection calls f after every collection from now on.
func afterEachCollection(f func()) {
	type sentinel struct{ _ *sentinel }
	runtime.AddCleanup(&sentinel{}, func(f func()) {
		f()
		afterEachCollection(f)
	}, f)
}

package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
)

// usage is what a process has used so far, by its own accounting.
type usage struct {
	// CPU is user and system time of all threads: the handler, TLS, the HTTP server and the garbage collector.
	CPU time.Duration
	// RSS is the resident memory in bytes.
	RSS int64
}

// startControl serves what the parent asks a child: /usage, /usage?gc=1 (after a collection) and net/http/pprof's CPU
// profile. It returns the address.
func startControl() (string, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		return "", err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/usage", func(w http.ResponseWriter, req *http.Request) {
		if req.FormValue("gc") != "" {
			// Also gives what is free back to the system at once, which the runtime otherwise does little by little.
			debug.FreeOSMemory()
		}
		used, err := readUsage()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(w).Encode(used)
	})
	mux.HandleFunc("/profile", pprof.Profile)
	go func() { _ = http.Serve(listener, mux) }()
	return listener.Addr().String(), nil
}

func readUsage() (usage, error) {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return usage{}, err
	}
	used := usage{CPU: time.Duration(r.Utime.Nano() + r.Stime.Nano())}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return usage{}, err
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			var kib int64
			if _, err := fmt.Sscanf(rest, "%d kB", &kib); err != nil {
				return usage{}, fmt.Errorf("reading %q: %w", line, err)
			}
			used.RSS = kib << 10
		}
	}
	if used.RSS == 0 {
		return usage{}, fmt.Errorf("/proc/self/status has no VmRSS")
	}
	return used, nil
}

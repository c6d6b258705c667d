package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"strconv"
	"syscall"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/dagger-inject/dagger-inject/webhook"
)

// serveCommand is the first argument of a copy of this program that is the webhook.
const serveCommand = "serve"

// serve runs the webhook as the program does, but with its heap profile where the metrics would be.
func serve(args []string) error {
	if len(args) != 5 {
		return fmt.Errorf("want 5 arguments, got %d", len(args))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	config, err := clientcmd.BuildConfigFromFlags("", args[0])
	if err != nil {
		return err
	}
	port, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	go func() {
		http.HandleFunc("/heap", func(w http.ResponseWriter, _ *http.Request) {
			// The profile is of the last collection.
			runtime.GC()
			_ = pprof.Lookup("heap").WriteTo(w, 0)
		})
		_ = http.ListenAndServe(args[3], nil)
	}()
	return webhook.Run(ctx, config, webhook.Options{
		Host: "127.0.0.1", Port: port, CertDir: args[2], ReleaseNamespace: releaseNamespace, Version: "bench",
		Log: slog.New(slog.NewJSONHandler(os.Stderr, nil)), MetricsAddress: "0", HealthAddress: args[4],
	})
}

package kubelet

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
)

// serveLogs serves the logs that "kubectl logs" reads from the kubelet of each node, until the context ends. Helm reads a
// hook's output there.
func (k *Kubelet) serveLogs(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", func(w http.ResponseWriter, r *http.Request) {
		text, err := k.Logs(r.PathValue("namespace"), r.PathValue("pod"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		_, _ = fmt.Fprint(w, text)
	})
	for _, node := range k.opts.Nodes {
		listener, err := net.Listen("tcp", address(node.IP, k.opts.Port))
		if err != nil {
			return err
		}
		// The API server verifies a kubelet's certificate only if a flag says so.
		server := httptest.NewUnstartedServer(mux)
		_ = server.Listener.Close()
		server.Listener = listener
		server.StartTLS()
		context.AfterFunc(ctx, server.Close)
	}
	return nil
}

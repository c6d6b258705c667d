package program

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
)

// Client returns a client of a webhook on the loopback address that trusts the tls.crt in a folder and keeps so many
// connections. It is like the API server's own: HTTP/1.1, which that insists on for a webhook behind a Service
// (k8s.io/apiserver, pkg/util/webhook/client.go), although the server offers HTTP/2.
func Client(certDir string, connections int) (*http.Client, error) {
	certificate, err := os.ReadFile(filepath.Join(certDir, "tls.crt"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(certificate) {
		return nil, fmt.Errorf("no certificate in %s", certDir)
	}
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{
			RootCAs: roots, ServerName: "localhost", NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS13,
		},
		MaxConnsPerHost:     connections,
		MaxIdleConnsPerHost: connections,
	}}, nil
}

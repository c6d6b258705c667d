package probe_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/inject/engine/probe"
	"github.com/dagger-inject/dagger-inject/inject/engine/probe/probetest"
)

// authority issues certificates and keeps them in files.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	a.cert, a.key = a.issue(t, "ca", &x509.Certificate{IsCA: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

// issue writes NAME.crt and NAME.key.
func (a *authority) issue(t *testing.T, name string, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.Subject = pkix.Name{CommonName: name}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	template.BasicConstraintsValid = true
	parent, signer := template, key
	if a.cert != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(a.file(name+".crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(a.file(name+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	return cert, key
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

// serve serves an engine over TLS and returns its port.
func (a *authority) serve(t *testing.T, config *tls.Config) string {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(a.file("server.crt"), a.file("server.key"))
	require.NoError(t, err)
	config.Certificates = []tls.Certificate{pair}
	l := listen(t, "tcp", "127.0.0.1:0")
	server := probetest.Server(probetest.Handler(probetest.EngineInfo("v0.21.8")))
	server.TLSConfig = config
	server.ErrorLog = log.New(io.Discard, "", 0) // What fails here is meant to.
	t.Cleanup(func() { _ = server.Close() })
	go func() { _ = server.ServeTLS(l, "", "") }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return port
}

func TestProbeTLS(t *testing.T) {
	ours, other := newAuthority(t), newAuthority(t)
	ours.issue(t, "server", &x509.Certificate{DNSNames: []string{"localhost"}})
	for _, a := range []*authority{ours, other} {
		a.issue(t, "client", &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	}
	clients := x509.NewCertPool()
	clients.AddCert(ours.cert)
	oneWay := ours.serve(t, &tls.Config{})
	mutual := ours.serve(t, &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients})
	mutual12 := ours.serve(t, &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients, MaxVersion: tls.VersionTLS12})
	old := ours.serve(t, &tls.Config{MinVersion: tls.VersionTLS11, MaxVersion: tls.VersionTLS11})
	plain := serveTCP(t, probetest.Handler(probetest.EngineInfo("v0.21.8")))[len("tcp://127.0.0.1:"):]
	ca := "ca_path=" + ours.file("ca.crt")
	pair := func(a *authority) string {
		return "&cert_path=" + a.file("client.crt") + "&key_path=" + a.file("client.key")
	}

	for name, url := range map[string]string{
		"with a CA": "tls://localhost:" + oneWay + "?" + ca,
		"mutual":    "tls://localhost:" + mutual + "?" + ca + pair(ours),
		"TLS 1.2":   "tls://localhost:" + mutual12 + "?" + ca + pair(ours),
	} {
		t.Run(name, func(t *testing.T) {
			info, err := ask(t, url)
			require.NoError(t, err)
			require.Equal(t, probetest.EngineInfo("v0.21.8"), info)
		})
	}
	for name, c := range map[string]struct{ url, part string }{
		"another CA":            {"tls://localhost:" + oneWay + "?ca_path=" + other.file("ca.crt"), "unknown authority"},
		"the system's CAs":      {"tls://localhost:" + oneWay, "unknown authority"},
		"another name":          {"tls://127.0.0.1:" + oneWay + "?" + ca, "127.0.0.1"},
		"no client certificate": {"tls://localhost:" + mutual + "?" + ca, "certificate required"},
		"none, TLS 1.2":         {"tls://localhost:" + mutual12 + "?" + ca, "remote error"},
		"another's certificate": {"tls://localhost:" + mutual + "?" + ca + pair(other), "unknown certificate authority"},
		"too old":               {"tls://localhost:" + old + "?" + ca, "protocol version"},
		"no TLS":                {"tls://localhost:" + plain + "?" + ca, "TLS"},
		"a missing CA":          {"tls://localhost:" + oneWay + "?ca_path=/nowhere/ca.crt", "ca_path: open /nowhere/ca.crt"},
		"a CA that is none":     {"tls://localhost:" + oneWay + "?ca_path=" + ours.file("client.key"), "no certificate in PEM"},
		"a key of another": {"tls://localhost:" + mutual + "?" + ca + "&cert_path=" + ours.file("client.crt") + "&key_path=" +
			other.file("client.key"),
			"cert_path and key_path: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ask(t, c.url)
			requireCause(t, probe.CauseTLS, c.part, err)
		})
	}
	t.Run("tcp where TLS is", func(t *testing.T) {
		// Which of the two it is depends on the server: some send an alert, Go's only hangs up.
		_, err := ask(t, "tcp://127.0.0.1:"+oneWay)
		require.ErrorContains(t, err, "TLS")
	})
}

func TestProbeTLSWithoutHTTP2(t *testing.T) {
	a := newAuthority(t)
	a.issue(t, "server", &x509.Certificate{DNSNames: []string{"localhost"}})
	pair, err := tls.LoadX509KeyPair(a.file("server.crt"), a.file("server.key"))
	require.NoError(t, err)
	url := serveRaw(t, func(conn net.Conn) {
		_, _ = io.Copy(io.Discard, tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{pair}}))
	})
	_, err = ask(t, "tls://localhost"+url[len("tcp://127.0.0.1"):]+"?ca_path="+a.file("ca.crt"))
	requireCause(t, probe.CauseTLS, "does not offer HTTP/2", err)
}

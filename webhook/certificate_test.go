package webhook

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

// authority issues certificates.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	template := &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign}
	cert, key := sign(t, template, nil)
	return &authority{cert: cert, key: key}
}

// sign completes and signs a certificate, by its own key where there is no issuer.
func sign(t *testing.T, template *x509.Certificate, issuer *authority) (*x509.Certificate, crypto.Signer) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62))
	require.NoError(t, err)
	template.NotBefore = time.Now().Add(-time.Hour)
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(time.Hour)
	}
	if issuer == nil {
		issuer = &authority{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer.cert, key.Public(), issuer.key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return cert, key
}

// issue puts a new certificate for localhost where a kubelet would: it writes a folder anew and moves one link to it, so that
// both files change at once.
func (a *authority) issue(t *testing.T, dir string, expiry time.Time) *x509.Certificate {
	t.Helper()
	cert, key := sign(t, &x509.Certificate{DNSNames: []string{"localhost"}, NotAfter: expiry}, a)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	fresh, err := os.MkdirTemp(dir, "..")
	require.NoError(t, err)
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert.Raw},
		keyFile: {Type: "PRIVATE KEY", Bytes: der}} {
		require.NoError(t, os.WriteFile(filepath.Join(fresh, file), pem.EncodeToMemory(block), 0o600))
		if _, err := os.Lstat(filepath.Join(dir, file)); err != nil {
			require.NoError(t, os.Symlink(filepath.Join("..data", file), filepath.Join(dir, file)))
		}
	}
	data := filepath.Join(dir, "..data")
	old, _ := os.Readlink(data)
	require.NoError(t, os.Symlink(filepath.Base(fresh), data+"_tmp"))
	require.NoError(t, os.Rename(data+"_tmp", data))
	if old != "" {
		require.NoError(t, os.RemoveAll(filepath.Join(dir, old)))
	}
	return cert
}

// handshakes makes a new connection for each request, all the time.
type handshakes struct {
	mu     sync.Mutex
	failed []error
	shown  map[string]int // how often each certificate was shown, by serial number
}

func (h *handshakes) run(done <-chan struct{}, client *http.Client, url string) {
	for {
		select {
		case <-done:
			return
		default:
		}
		response, err := client.Post(url, "text/plain", nil)
		h.mu.Lock()
		if err != nil {
			h.failed = append(h.failed, err)
		} else {
			h.shown[response.TLS.PeerCertificates[0].SerialNumber.String()]++
			_ = response.Body.Close()
		}
		h.mu.Unlock()
	}
}

// shows returns the condition that a certificate has been shown many times.
func (h *handshakes) shows(cert *x509.Certificate) func() bool {
	return func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.shown[cert.SerialNumber.String()] > 20
	}
}

func TestTheCertificateAndItsAuthorityChangeUnderTraffic(t *testing.T) {
	dir, former, latter := t.TempDir(), newAuthority(t, "former"), newAuthority(t, "latter")
	first := former.issue(t, dir, time.Now().Add(time.Hour))
	l := listen(t, dir, 0, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "served") })
	l.waitReady(t)

	// Both authorities are trusted while one takes the other's place, as in a caBundle.
	roots := x509.NewCertPool()
	roots.AddCert(former.cert)
	roots.AddCert(latter.cert)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}
	h, done := &handshakes{shown: map[string]int{}}, make(chan struct{})
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() { h.run(done, client, l.url) })
	}
	stop := sync.OnceFunc(func() {
		close(done)
		work.Wait()
	})
	defer stop()

	require.Eventually(t, h.shows(first), patience, tick)
	expiry := time.Now().Add(2 * time.Hour)
	require.Eventually(t, h.shows(former.issue(t, dir, expiry)), patience, tick, "a renewed certificate")
	require.Eventually(t, h.shows(latter.issue(t, dir, expiry)), patience, tick, "one of another authority")
	stop()
	require.Empty(t, h.failed)
}

func TestTheMetricOfTheCertificate(t *testing.T) {
	dir, registry := t.TempDir(), prometheus.NewRegistry()
	l := listen(t, dir, 0, func(http.ResponseWriter, *http.Request) {})
	l.certificate.register(registry)
	gauge := func() float64 {
		families, err := registry.Gather()
		require.NoError(t, err)
		require.Len(t, families, 1)
		require.Equal(t, "dagger_inject_certificate_expiry_timestamp_seconds", families[0].GetName())
		return families[0].Metric[0].GetGauge().GetValue()
	}
	require.Zero(t, gauge())
	expiry := time.Now().Add(time.Hour)
	newAuthority(t, "ca").issue(t, dir, expiry)
	l.waitReady(t)
	require.Equal(t, float64(expiry.Unix()), gauge())
}

func TestAnExpiredCertificateIsNotReady(t *testing.T) {
	dir := t.TempDir()
	newAuthority(t, "ca").issue(t, dir, time.Now().Add(-time.Minute))
	l := listen(t, dir, 0, func(http.ResponseWriter, *http.Request) {})
	require.Eventually(t, func() bool { _, loaded := l.certificate.expiry(); return loaded }, patience, tick)
	require.ErrorContains(t, l.certificate.ready(nil), "expired at")
	require.Error(t, l.checks()["certificate"](nil))
}

package webhook

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	certutil "k8s.io/client-go/util/cert"
)

const (
	certFile = "tls.crt"
	keyFile  = "tls.key"
)

// EnsureCertificate writes a self-signed certificate for localhost into dir if that has neither a certificate nor a key, and
// reports whether it did. The certificate is for trying things out.
func EnsureCertificate(dir string) (made bool, err error) {
	cert, key := filepath.Join(dir, certFile), filepath.Join(dir, keyFile)
	missing := 0
	for _, file := range []string{cert, key} {
		switch _, err := os.Stat(file); {
		case errors.Is(err, fs.ErrNotExist):
			missing++
		case err != nil:
			return false, err
		}
	}
	switch missing {
	case 0:
		return false, nil
	case 1:
		return false, fmt.Errorf("%s has only one of %s and %s: both are needed, or neither to have them made", dir, certFile, keyFile)
	}
	certPEM, keyPEM, err := certutil.GenerateSelfSignedCertKey("localhost", []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, nil)
	if err != nil {
		return false, fmt.Errorf("making a self-signed certificate: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return false, err
	}
	if err := os.WriteFile(key, keyPEM, 0o600); err != nil {
		return false, err
	}
	return true, os.WriteFile(cert, certPEM, 0o644)
}

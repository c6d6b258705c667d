//go:build linux

package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

// authority signs the cluster's certificates. They are valid for a year: a cluster for tests does not live longer.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  crypto.Signer
}

func newAuthority(dir string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	ca, err := cert.NewSelfSignedCACert(cert.Config{CommonName: "dagger-inject-node"}, key)
	if err != nil {
		return nil, err
	}
	a := &authority{dir: dir, cert: ca, key: key}
	if err := cert.WriteCert(a.certFile("ca"), a.pem()); err != nil {
		return nil, err
	}
	// The key that signs the tokens of service accounts.
	accounts, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	_, err = a.writeKey("accounts", accounts)
	return a, err
}

func (a *authority) pem() []byte { return encode(a.cert) }

func encode(c *x509.Certificate) []byte {
	text, _ := cert.EncodeCertificates(c) // It fails only where writing to memory does.
	return text
}

func (a *authority) certFile(name string) string { return filepath.Join(a.dir, name+".crt") }
func (a *authority) keyFile(name string) string  { return filepath.Join(a.dir, name+".key") }

func (a *authority) writeKey(name string, key crypto.PrivateKey) ([]byte, error) {
	text, err := keyutil.MarshalPrivateKeyToPEM(key)
	if err != nil {
		return nil, err
	}
	return text, os.WriteFile(a.keyFile(name), text, 0o600)
}

// sign writes a certificate and its key: for a server if names or addresses are given, else for a client.
func (a *authority) sign(file string, subject pkix.Name, names []string, addresses []net.IP) (certificate, key []byte, err error) {
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		Subject: subject, SerialNumber: serial, DNSNames: names, IPAddresses: addresses,
		NotBefore: a.cert.NotBefore, NotAfter: time.Now().AddDate(1, 0, 0),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, signer.Public(), a.key)
	if err != nil {
		return nil, nil, err
	}
	signed, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, err
	}
	certificate = encode(signed)
	if key, err = a.writeKey(file, signer); err != nil {
		return nil, nil, err
	}
	return certificate, key, os.WriteFile(a.certFile(file), certificate, 0o644)
}

// kubeconfig writes a kubeconfig for a user of a group at a server's URL.
func (a *authority) kubeconfig(path, server, user, group string) error {
	subject := pkix.Name{CommonName: user}
	if group != "" {
		subject.Organization = []string{group}
	}
	certificate, key, err := a.sign("user-"+filepath.Base(path), subject, nil, nil)
	if err != nil {
		return err
	}
	config := clientcmdapi.NewConfig()
	config.Clusters["node"] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: a.pem()}
	config.AuthInfos[user] = &clientcmdapi.AuthInfo{ClientCertificateData: certificate, ClientKeyData: key}
	config.Contexts["node"] = &clientcmdapi.Context{Cluster: "node", AuthInfo: user}
	config.CurrentContext = "node"
	return clientcmd.WriteToFile(*config, path)
}

// issue writes all certificates and kubeconfigs of a cluster.
func (s *settings) issue(state string) error {
	dir := filepath.Join(state, "certs")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	a, err := newAuthority(dir)
	if err != nil {
		return err
	}
	node := net.ParseIP(s.NodeIP)
	names := []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost"}
	addresses := []net.IP{node, net.ParseIP(apiServiceIP), net.IPv4(127, 0, 0, 1)}
	if _, _, err := a.sign("apiserver", pkix.Name{CommonName: "kube-apiserver"}, names, addresses); err != nil {
		return err
	}
	if _, _, err := a.sign("kubelet", pkix.Name{CommonName: nodeName}, []string{nodeName}, []net.IP{node}); err != nil {
		return err
	}
	caller := pkix.Name{CommonName: "kube-apiserver-kubelet-client", Organization: []string{"system:masters"}}
	if _, _, err := a.sign("apiserver-kubelet", caller, nil, nil); err != nil {
		return err
	}
	for _, u := range []struct{ file, user, group string }{
		{"controller-manager.conf", "system:kube-controller-manager", ""},
		{"scheduler.conf", "system:kube-scheduler", ""},
		{"proxy.conf", "system:kube-proxy", ""},
		{"kubelet.conf", "system:node:" + nodeName, "system:nodes"},
		// What CoreDNS reads has no role of Kubernetes' own.
		{"dns.conf", "dns", "system:masters"},
	} {
		if err := a.kubeconfig(filepath.Join(dir, u.file), "https://127.0.0.1:6443", u.user, u.group); err != nil {
			return err
		}
	}
	return a.kubeconfig(kubeconfig(state), "https://"+net.JoinHostPort(s.NodeIP, "6443"), "admin", "system:masters")
}

// kubeconfig returns the path of the administrator's kubeconfig.
func kubeconfig(state string) string { return filepath.Join(state, "kubeconfig") }

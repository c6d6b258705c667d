package check

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"net/url"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// defaultSecret is the chart's name for the Secret with the serving certificate.
	defaultSecret = "dagger-inject-tls"
	// soon is the time left with which a certificate should have been renewed: cert-manager renews it with a third of its time
	// left.
	soon = 7 * 24 * time.Hour
	// dialTimeout bounds asking a webhook behind a URL for its certificate.
	dialTimeout = 5 * time.Second
)

// checkCertificate verifies the serving certificate with every CA bundle, as the API server does, and checks when it expires.
func (c *checker) checkCertificate() {
	var chain []*x509.Certificate
	for _, w := range c.clients {
		name, from, served, err := c.served(w)
		if apierrors.IsNotFound(err) && len(c.pods) > 0 { // Without a pod, the Secret's name is a guess.
			c.add(Fail, "See the lines of cert-manager; with certificates.mode existingSecret, create it.",
				"the serving certificate is missing, and no replica starts without it: %v", err)
			return
		}
		if err != nil {
			c.unreadable("the serving certificate", err)
			return
		}
		chain = served
		if err := verify(served, w.CABundle, name, c.Now); err != nil {
			c.add(Fail, "See whether cert-manager's cainjector runs, or renew the CA bundle or the certificate.",
				"the API server does not trust the certificate in %s: %v", from, err)
			return
		}
	}
	if len(chain) == 0 {
		return
	}
	left := chain[0].NotAfter.Sub(c.Now)
	days := int(left / (24 * time.Hour))
	if left < soon {
		c.add(Warn, "The lines of cert-manager say why it is not renewed; where something else makes it, renew it there.",
			"the certificate has %s left", plural(days, "day"))
		return
	}
	c.ok("every CA bundle matches the certificate, which has %s left", plural(days, "day"))
}

// served returns the host name that the API server verifies, where the certificate was read, and the certificate's chain.
func (c *checker) served(w admissionregistrationv1.WebhookClientConfig) (name, from string, chain []*x509.Certificate, err error) {
	if w.Service != nil {
		name = w.Service.Name + "." + w.Service.Namespace + ".svc"
		key := client.ObjectKey{Namespace: w.Service.Namespace, Name: c.secretName()}
		var secret corev1.Secret
		if err := c.Reader.Get(c.ctx, key, &secret); err != nil {
			return "", "", nil, err
		}
		chain, err = parseCertificates(secret.Data[corev1.TLSCertKey])
		return name, "Secret " + key.String(), chain, err
	}
	if w.URL == nil {
		return "", "", nil, errors.New("an entry names neither a Service nor a URL")
	}
	u, err := url.Parse(*w.URL)
	if err != nil {
		return "", "", nil, err
	}
	port := u.Port()
	if port == "" {
		port = "443"
	}
	// checkCertificate verifies the certificate, whether it comes from a Secret or a connection.
	dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: dialTimeout}, Config: &tls.Config{InsecureSkipVerify: true, ServerName: u.Hostname()}}
	conn, err := dialer.DialContext(c.ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return "", "", nil, err
	}
	defer func() { _ = conn.Close() }()
	return u.Hostname(), u.Host, conn.(*tls.Conn).ConnectionState().PeerCertificates, nil
}

// secretName is the Secret that the webhook's pods mount, else the chart's default.
func (c *checker) secretName() string {
	for _, pod := range c.pods {
		for _, v := range pod.Spec.Volumes {
			if v.Name == "certs" && v.Secret != nil {
				return v.Secret.SecretName
			}
		}
	}
	return defaultSecret
}

func parseCertificates(text []byte) ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		chain = append(chain, certificate)
	}
	if len(chain) == 0 {
		return nil, errors.New("no certificate in PEM")
	}
	return chain, nil
}

func verify(chain []*x509.Certificate, bundle []byte, name string, now time.Time) error {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	if !roots.AppendCertsFromPEM(bundle) {
		return errors.New("the caBundle has no certificate")
	}
	for _, certificate := range chain[1:] {
		between.AddCert(certificate)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: between, CurrentTime: now})
	return err
}

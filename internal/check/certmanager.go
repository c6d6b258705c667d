package check

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cert-manager/cert-manager/pkg/apis/certmanager"
	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	certmanagermeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// patience is how long a step may take. It takes cert-manager seconds, or minutes if an issuer or an approver outside must
// act.
const patience = 10 * time.Minute

// CertManager returns what is wrong with the serving certificate according to cert-manager, each with a remedy. It returns
// nothing if cert-manager's objects may not be read.
func CertManager(ctx context.Context, o Options) []string {
	c := &checker{Options: o, ctx: ctx}
	c.checkWebhooks()
	c.checkReplicas()
	c.findings = nil
	c.checkCertManager()
	var wrong []string
	for _, f := range c.findings {
		if f.Level != OK && !strings.HasPrefix(f.Text, notKnown) {
			wrong = append(wrong, strings.TrimSuffix(f.Text, ".")+". "+f.Remedy)
		}
	}
	return wrong
}

// checkCertManager reads from cert-manager's objects why the serving certificate, or the CA that signs it, is not issued or
// renewed. It adds nothing if cert-manager does not issue them.
func (c *checker) checkCertManager() {
	var list certmanagerv1.CertificateList
	switch err := c.Reader.List(c.ctx, &list, client.InNamespace(c.ReleaseNamespace)); {
	case meta.IsNoMatchError(err), apierrors.IsNotFound(err):
		return // It is not installed.
	case err != nil:
		c.unasked("whether the certificate is renewed", err)
		return
	}
	// After a certificate comes that of the CA that signs it, which is in another Secret.
	secret := c.secretName()
	for range list.Items {
		at := slices.IndexFunc(list.Items, func(c certmanagerv1.Certificate) bool { return c.Spec.SecretName == secret })
		if at < 0 {
			return
		}
		secret = c.issuance(&list.Items[at])
		list.Items = slices.Delete(list.Items, at, at+1)
	}
}

// notKnown begins a finding about objects of cert-manager that the user may not read.
const notKnown = "not known: "

func (c *checker) unasked(what string, err error) {
	c.add(Warn, "Ask somebody who may read cert-manager's Certificates, CertificateRequests and Issuers to run the check.",
		notKnown+"%s: %v", what, err)
}

// issuance reports the state of a Certificate, and returns the Secret of the CA that signs it; empty if the CA is not in the
// namespace.
func (c *checker) issuance(cert *certmanagerv1.Certificate) (caSecret string) {
	name := "Certificate " + cert.Namespace + "/" + cert.Name
	describe := func(kind, name string) string {
		return "kubectl describe " + kind + " " + name + " -n " + cert.Namespace
	}
	found := len(c.findings)
	ready, issuing := condition(cert, certmanagerv1.CertificateConditionReady), condition(cert, certmanagerv1.CertificateConditionIssuing)
	isReady := ready != nil && ready.Status == certmanagermeta.ConditionTrue
	level := Fail
	if isReady {
		level = Warn // the problem prevents the next renewal
	}
	renewal := cert.Status.RenewalTime
	switch {
	case ready == nil:
		c.add(level, "See whether cert-manager's controller runs.", "cert-manager has not looked at %s", name)
	case !isReady:
		c.add(level, "See the lines below, or "+describe("certificate", cert.Name)+".",
			"%s is not ready: %s%s", name, said(ready.Reason, ready.Message), attempts(cert))
	case issuing != nil && issuing.Status != certmanagermeta.ConditionTrue:
		c.add(level, "See the lines below, or "+describe("certificate", cert.Name)+".",
			"%s cannot be renewed: %s%s", name, said(issuing.Reason, issuing.Message), attempts(cert))
	case renewal != nil && c.Now.Sub(renewal.Time) > patience && issuing == nil:
		c.add(level, "See whether cert-manager's controller runs.",
			"%s was to be renewed at %s, and cert-manager has not begun", name, stamp(renewal.Time))
	case renewal != nil && c.Now.Sub(renewal.Time) > patience:
		c.add(level, "See the lines below, or "+describe("certificate", cert.Name)+".",
			"%s was to be renewed at %s, and is not yet: %s", name, stamp(renewal.Time), said(issuing.Reason, issuing.Message))
	}
	wrong := len(c.findings) > found
	caSecret = c.issuer(cert, level)
	if wrong {
		c.request(cert, level, describe)
	}
	if len(c.findings) == found {
		text := ""
		if renewal != nil {
			text = ", and renewed at " + stamp(renewal.Time)
		}
		c.ok("%s is ready%s", name, text)
	}
	return caSecret
}

// issuer says what is wrong with the issuer of a certificate, and returns the Secret of its CA.
func (c *checker) issuer(cert *certmanagerv1.Certificate, level Level) (caSecret string) {
	ref := cert.Spec.IssuerRef
	if cmp.Or(ref.Group, certmanager.GroupName) != certmanager.GroupName {
		return "" // an issuer of another project: its state is in the request
	}
	var issuer certmanagerv1.GenericIssuer
	key := client.ObjectKey{Name: ref.Name}
	name, describe := "ClusterIssuer "+ref.Name, "kubectl describe clusterissuer "+ref.Name
	if ref.Kind == certmanagerv1.ClusterIssuerKind {
		issuer = &certmanagerv1.ClusterIssuer{}
	} else {
		issuer = &certmanagerv1.Issuer{}
		key.Namespace = cert.Namespace
		name, describe = "Issuer "+cert.Namespace+"/"+ref.Name, "kubectl describe issuer "+ref.Name+" -n "+cert.Namespace
	}
	if err := c.Reader.Get(c.ctx, key, issuer); apierrors.IsNotFound(err) {
		c.add(level, "Create it, or have certificates.issuer name another.",
			"%s, which signs Certificate %s/%s, does not exist", name, cert.Namespace, cert.Name)
		return ""
	} else if err != nil {
		c.unasked("whether "+name+" is ready", err)
		return ""
	}
	if ca := issuer.GetSpec().CA; ca != nil && key.Namespace != "" {
		caSecret = ca.SecretName
	}
	conditions := issuer.GetStatus().Conditions
	at := slices.IndexFunc(conditions, func(c certmanagerv1.IssuerCondition) bool { return c.Type == certmanagerv1.IssuerConditionReady })
	switch {
	case at < 0:
		c.add(level, "See whether cert-manager's controller runs.", "cert-manager has not looked at %s", name)
	case conditions[at].Status != certmanagermeta.ConditionTrue:
		c.add(level, "Correct it: "+describe+".", "%s is not ready: %s", name, said(conditions[at].Reason, conditions[at].Message))
	}
	return caSecret
}

// request reports the state of the newest request for a certificate that is not issued.
func (c *checker) request(cert *certmanagerv1.Certificate, level Level, describe func(kind, name string) string) {
	var list certmanagerv1.CertificateRequestList
	if err := c.Reader.List(c.ctx, &list, client.InNamespace(cert.Namespace)); err != nil {
		c.unasked("what became of the request for Certificate "+cert.Namespace+"/"+cert.Name, err)
		return
	}
	requests := slices.DeleteFunc(list.Items, func(r certmanagerv1.CertificateRequest) bool {
		return r.Annotations[certmanagerv1.CertificateNameKey] != cert.Name
	})
	if len(requests) == 0 {
		return
	}
	newest := slices.MaxFunc(requests, func(a, b certmanagerv1.CertificateRequest) int {
		return cmp.Or(cmp.Compare(revision(&a), revision(&b)), a.CreationTimestamp.Compare(b.CreationTimestamp.Time))
	})
	of := map[certmanagerv1.CertificateRequestConditionType]certmanagerv1.CertificateRequestCondition{}
	for _, condition := range newest.Status.Conditions {
		of[condition.Type] = condition
	}
	name := "CertificateRequest " + newest.Namespace + "/" + newest.Name
	is := func(kind certmanagerv1.CertificateRequestConditionType) bool {
		return of[kind].Status == certmanagermeta.ConditionTrue
	}
	words := func(kind certmanagerv1.CertificateRequestConditionType) string {
		return said(of[kind].Reason, of[kind].Message)
	}
	see := describe("certificaterequest", newest.Name)
	again := "; then cmctl renew " + cert.Name + " -n " + cert.Namespace + " tries at once."
	ready := of[certmanagerv1.CertificateRequestConditionReady]
	late := c.Now.Sub(newest.CreationTimestamp.Time) > patience
	switch {
	case is(certmanagerv1.CertificateRequestConditionDenied):
		c.add(level, "Have the cluster's approver of requests allow it ("+see+")"+again,
			"%s was denied: %s", name, words(certmanagerv1.CertificateRequestConditionDenied))
	case is(certmanagerv1.CertificateRequestConditionInvalidRequest):
		c.add(level, "Correct the Certificate ("+see+")"+again,
			"%s is invalid: %s", name, words(certmanagerv1.CertificateRequestConditionInvalidRequest))
	case ready.Status == certmanagermeta.ConditionFalse && ready.Reason == certmanagerv1.CertificateRequestReasonFailed:
		c.add(level, "Mend what it says ("+see+")"+again, "%s failed: %s", name, said(ready.Reason, ready.Message))
	case !is(certmanagerv1.CertificateRequestConditionApproved) && late:
		c.add(level, "See whether the cluster's approver of requests runs: "+see+".",
			"%s is not approved since %s", name, stamp(newest.CreationTimestamp.Time))
	case ready.Status != certmanagermeta.ConditionTrue && late:
		c.add(level, "See what the issuer waits for: "+see+".",
			"%s waits since %s: %s", name, stamp(newest.CreationTimestamp.Time), said(ready.Reason, ready.Message))
	}
}

func condition(cert *certmanagerv1.Certificate, of certmanagerv1.CertificateConditionType) *certmanagerv1.CertificateCondition {
	for i := range cert.Status.Conditions {
		if cert.Status.Conditions[i].Type == of {
			return &cert.Status.Conditions[i]
		}
	}
	return nil
}

// revision returns the revision of a request's certificate, or 0 if the request has none.
func revision(r *certmanagerv1.CertificateRequest) int {
	n, _ := strconv.Atoi(r.Annotations[certmanagerv1.CertificateRequestRevisionAnnotationKey])
	return n
}

// attempts returns how often the issuance failed, as the end of a sentence.
func attempts(cert *certmanagerv1.Certificate) string {
	if cert.Status.FailedIssuanceAttempts == nil || cert.Status.LastFailureTime == nil {
		return ""
	}
	return fmt.Sprintf("; %s failed, the last at %s", plural(*cert.Status.FailedIssuanceAttempts, "attempt"),
		stamp(cert.Status.LastFailureTime.Time))
}

// said returns a condition in cert-manager's own words.
func said(reason, message string) string {
	return strings.Trim(cmp.Or(reason, "no reason is given")+": "+message, ": ")
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

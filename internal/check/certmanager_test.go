package check

import (
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	certmanagermeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/internal/apicheck"
)

// issued are the objects of the chart's own CA, with everything as it should be: a self-signed CA, and the certificate that it signs.
type issued struct {
	selfSigned, ca certmanagerv1.Issuer
	authority      certmanagerv1.Certificate
	serving        certmanagerv1.Certificate
	request        certmanagerv1.CertificateRequest
}

func typed(kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: "cert-manager.io/v1", Kind: kind}
}

func issuance() *issued {
	meta := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: "dagger-inject", Name: name} }
	issuer := func(name string) certmanagerv1.Issuer {
		return certmanagerv1.Issuer{TypeMeta: typed("Issuer"), ObjectMeta: meta(name), Status: certmanagerv1.IssuerStatus{
			Conditions: []certmanagerv1.IssuerCondition{{Type: certmanagerv1.IssuerConditionReady, Status: certmanagermeta.ConditionTrue}},
		}}
	}
	certificate := func(name, secret, issuer string) certmanagerv1.Certificate {
		return certmanagerv1.Certificate{
			TypeMeta: typed("Certificate"), ObjectMeta: meta(name),
			Spec: certmanagerv1.CertificateSpec{SecretName: secret, IssuerRef: certmanagermeta.IssuerReference{Kind: "Issuer", Name: issuer}},
			Status: certmanagerv1.CertificateStatus{
				Conditions: []certmanagerv1.CertificateCondition{{Type: certmanagerv1.CertificateConditionReady,
					Status: certmanagermeta.ConditionTrue}},
				RenewalTime: &metav1.Time{Time: now.Add(24 * time.Hour)},
			},
		}
	}
	i := &issued{
		selfSigned: issuer("self"), ca: issuer("ca"),
		authority: certificate("authority", "authority", "self"), serving: certificate("serving", "serving", "ca"),
	}
	i.ca.Spec.CA = &certmanagerv1.CAIssuer{SecretName: "authority"}
	i.request = certmanagerv1.CertificateRequest{
		TypeMeta: typed("CertificateRequest"), ObjectMeta: meta("serving-2"),
		Status: certmanagerv1.CertificateRequestStatus{Conditions: []certmanagerv1.CertificateRequestCondition{
			{Type: certmanagerv1.CertificateRequestConditionApproved, Status: certmanagermeta.ConditionTrue},
			{Type: certmanagerv1.CertificateRequestConditionReady, Status: certmanagermeta.ConditionTrue, Reason: "Issued"},
		}},
	}
	i.request.Annotations = map[string]string{certmanagerv1.CertificateNameKey: "serving",
		certmanagerv1.CertificateRequestRevisionAnnotationKey: "2"}
	i.request.CreationTimestamp = metav1.Time{Time: now.Add(-time.Hour)}
	return i
}

// notReady is a certificate that is not issued.
func notReady(c *certmanagerv1.Certificate, reason, message string) {
	ready := &c.Status.Conditions[0]
	ready.Status, ready.Reason, ready.Message = certmanagermeta.ConditionFalse, reason, message
}

// ofRequest replaces a condition of the request, or adds it.
func (i *issued) ofRequest(
	condition certmanagerv1.CertificateRequestConditionType, status certmanagermeta.ConditionStatus, reason, message string,
) {
	all := i.request.Status.Conditions[:0:0]
	for _, c := range i.request.Status.Conditions {
		if c.Type != condition {
			all = append(all, c)
		}
	}
	i.request.Status.Conditions = append(all,
		certmanagerv1.CertificateRequestCondition{Type: condition, Status: status, Reason: reason, Message: message})
}

// certManagerCase changes the objects of a healthy issuance, and has every finding that comes of it.
type certManagerCase struct {
	change    func(*issued)
	forbidden []string // kinds that may not be read
	want      []Finding
}

func requireCertManagerSays(t *testing.T, cases map[string]certManagerCase) {
	t.Helper()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			i := healthy(t)
			objects := issuance()
			c.change(objects)
			i.others = []client.Object{&objects.selfSigned, &objects.ca, &objects.authority, &objects.serving, &objects.request}
			for _, kind := range c.forbidden {
				i.forbidden[kind] = true
			}
			got := i.findingsOf(t, "cert-manager")
			require.Len(t, got, len(c.want), "%+v", got)
			for n, want := range c.want {
				require.Equal(t, want.Level, got[n].Level, "%+v", got[n])
				require.Contains(t, got[n].Text, want.Text)
				require.Contains(t, got[n].Remedy, want.Remedy)
			}
		})
	}
}

func TestTheStateOfACertificateIsQuoted(t *testing.T) {
	requireCertManagerSays(t, map[string]certManagerCase{
		"all is well": {func(*issued) {}, nil, []Finding{
			{Level: OK, Text: "Certificate dagger-inject/serving is ready, and renewed at 2026-01-03T03:04:05Z"},
			{Level: OK, Text: "Certificate dagger-inject/authority is ready, and renewed at 2026-01-03T03:04:05Z"},
		}},
		"a certificate that somebody else makes": {func(i *issued) { i.serving.Spec.SecretName = "other" }, nil, nil},
		"a renewal that is overdue": {func(i *issued) { i.serving.Status.RenewalTime = &metav1.Time{Time: now.Add(-48 * time.Hour)} }, nil,
			[]Finding{
				{Level: Warn, Text: "Certificate dagger-inject/serving was to be renewed at 2025-12-31T03:04:05Z, and cert-manager has not begun",
					Remedy: "controller runs"},
				{Level: OK, Text: "Certificate dagger-inject/authority is ready"},
			}},
		"a certificate that nobody looked at": {func(i *issued) { i.serving.Status = certmanagerv1.CertificateStatus{} }, nil, []Finding{
			{Level: Fail, Text: "cert-manager has not looked at Certificate dagger-inject/serving"},
			{Level: OK, Text: "Certificate dagger-inject/authority is ready"},
		}},
		"the authority's": {func(i *issued) { notReady(&i.authority, "Expired", "Certificate expired on Thu") }, nil, []Finding{
			{Level: OK, Text: "Certificate dagger-inject/serving is ready"},
			{Level: Fail, Text: "Certificate dagger-inject/authority is not ready: Expired: Certificate expired on Thu"},
		}},
	})
}

func TestTheStateOfAnIssuerIsQuoted(t *testing.T) {
	requireCertManagerSays(t, map[string]certManagerCase{
		"an issuer that is not ready": {func(i *issued) {
			notReady(&i.serving, "DoesNotExist", "Issuing certificate as Secret does not exist")
			i.ca.Status.Conditions[0] = certmanagerv1.IssuerCondition{Type: certmanagerv1.IssuerConditionReady,
				Status: certmanagermeta.ConditionFalse,
				Reason: "ErrGetKeyPair", Message: `Error getting keypair for CA issuer: secret "authority" not found`}
		}, nil, []Finding{
			{Level: Fail, Text: "Certificate dagger-inject/serving is not ready: DoesNotExist: Issuing certificate as Secret does not exist",
				Remedy: "kubectl describe certificate serving -n dagger-inject"},
			{Level: Fail,
				Text:   `Issuer dagger-inject/ca is not ready: ErrGetKeyPair: Error getting keypair for CA issuer: secret "authority" not found`,
				Remedy: "kubectl describe issuer ca -n dagger-inject"},
			{Level: OK, Text: "Certificate dagger-inject/authority is ready"},
		}},
		"an issuer that breaks later": {func(i *issued) { i.ca.Status.Conditions = nil }, nil, []Finding{
			{Level: Warn, Text: "cert-manager has not looked at Issuer dagger-inject/ca", Remedy: "controller runs"},
			{Level: OK, Text: "Certificate dagger-inject/authority is ready"},
		}},
		"an issuer that is missing": {func(i *issued) { i.serving.Spec.IssuerRef.Name = "other" }, nil, []Finding{
			{Level: Warn, Text: "Issuer dagger-inject/other, which signs Certificate dagger-inject/serving, does not exist",
				Remedy: "certificates.issuer"},
		}},
		"an issuer of somebody else's": {func(i *issued) {
			i.serving.Spec.IssuerRef = certmanagermeta.IssuerReference{Kind: "AWSPCAIssuer", Name: "corp", Group: "awspca.cert-manager.io"}
		}, nil, []Finding{{Level: OK, Text: "Certificate dagger-inject/serving is ready"}}},
	})
}

func TestTheStateOfARequestIsQuoted(t *testing.T) {
	requireCertManagerSays(t, map[string]certManagerCase{
		"a request that was denied": {func(i *issued) {
			notReady(&i.serving, "DoesNotExist", "no Secret")
			n := 3
			i.serving.Status.FailedIssuanceAttempts, i.serving.Status.LastFailureTime = &n, &metav1.Time{Time: now.Add(-time.Hour)}
			i.ofRequest(certmanagerv1.CertificateRequestConditionDenied, certmanagermeta.ConditionTrue, "policy.cert-manager.io",
				"No policy approved this request")
			i.ofRequest(certmanagerv1.CertificateRequestConditionReady, certmanagermeta.ConditionFalse, "Denied",
				"The CertificateRequest was denied by an approval controller")
		}, nil, []Finding{
			{Level: Fail, Text: "Certificate dagger-inject/serving is not ready: DoesNotExist: no Secret; " +
				"3 attempts failed, the last at 2026-01-02T02:04:05Z"},
			{Level: Fail, Text: "CertificateRequest dagger-inject/serving-2 was denied: policy.cert-manager.io: No policy approved this request",
				Remedy: "cmctl renew serving -n dagger-inject"},
			{Level: OK, Text: "Certificate dagger-inject/authority is ready"},
		}},
		"a request that failed": {func(i *issued) {
			i.serving.Status.Conditions = append(i.serving.Status.Conditions, certmanagerv1.CertificateCondition{
				Type: certmanagerv1.CertificateConditionIssuing, Status: certmanagermeta.ConditionFalse, Reason: "Failed",
				Message: "it will be retried",
			})
			i.ofRequest(certmanagerv1.CertificateRequestConditionReady, certmanagermeta.ConditionFalse, "Failed", "Vault says no")
		}, nil, []Finding{
			{Level: Warn, Text: "Certificate dagger-inject/serving cannot be renewed: Failed: it will be retried"},
			{Level: Warn, Text: "CertificateRequest dagger-inject/serving-2 failed: Failed: Vault says no"},
			{Level: OK, Text: "Certificate dagger-inject/authority is ready"},
		}},
		"a request that nobody approves": {func(i *issued) {
			notReady(&i.serving, "DoesNotExist", "no Secret")
			i.request.Status.Conditions = nil
		}, nil, []Finding{
			{Level: Fail, Text: "Certificate dagger-inject/serving is not ready"},
			{Level: Fail, Text: "CertificateRequest dagger-inject/serving-2 is not approved since 2026-01-02T02:04:05Z", Remedy: "approver"},
			{Level: OK, Text: "Certificate dagger-inject/authority is ready"},
		}},
		"a request that waits": {func(i *issued) {
			notReady(&i.serving, "DoesNotExist", "no Secret")
			i.ofRequest(certmanagerv1.CertificateRequestConditionReady, certmanagermeta.ConditionFalse, "Pending", "Waiting on certificate issuance")
		}, nil, []Finding{
			{Level: Fail, Text: "Certificate dagger-inject/serving is not ready"},
			{Level: Fail, Text: "CertificateRequest dagger-inject/serving-2 waits since 2026-01-02T02:04:05Z: " +
				"Pending: Waiting on certificate issuance"},
			{Level: OK, Text: "Certificate dagger-inject/authority is ready"},
		}},
	})
}

func TestWhatOfCertManagerMayNotBeReadIsNamed(t *testing.T) {
	requireCertManagerSays(t, map[string]certManagerCase{
		"a cluster's issuer": {func(i *issued) {
			i.serving.Spec.IssuerRef = certmanagermeta.IssuerReference{Kind: "ClusterIssuer", Name: "corp", Group: "cert-manager.io"}
		}, []string{"ClusterIssuer"}, []Finding{
			{Level: Warn, Text: "not known: whether ClusterIssuer corp is ready: ", Remedy: "Ask somebody who may read"},
		}},
		"who may read nothing of it": {func(*issued) {}, []string{"CertificateList"}, []Finding{
			{Level: Warn, Text: "not known: whether the certificate is renewed: ", Remedy: "Ask somebody who may read"},
		}},
		"who may not read issuers": {func(*issued) {}, []string{"v1.Issuer"}, []Finding{
			{Level: Warn, Text: "not known: whether Issuer dagger-inject/ca is ready: ", Remedy: "Ask somebody who may read"},
		}},
		"who may not read requests": {func(i *issued) { notReady(&i.serving, "DoesNotExist", "no Secret") }, []string{"CertificateRequest"},
			[]Finding{
				{Level: Fail, Text: "Certificate dagger-inject/serving is not ready"},
				{Level: Warn, Text: "not known: what became of the request for Certificate dagger-inject/serving: "},
				{Level: OK, Text: "Certificate dagger-inject/authority is ready"},
			}},
	})
}

func TestWhatCertManagerSaysIsACause(t *testing.T) {
	i := healthy(t)
	objects := issuance()
	objects.serving.Spec.IssuerRef.Name = "other"
	i.others = []client.Object{&objects.serving}
	causes := func() []string {
		return CertManager(t.Context(), Options{Reader: i.reader(t), ReleaseNamespace: "dagger-inject", Now: now})
	}
	require.Equal(t, []string{"Issuer dagger-inject/other, which signs Certificate dagger-inject/serving, does not exist. " +
		"Create it, or have certificates.issuer name another."}, causes())
	i.forbidden["CertificateList"] = true
	require.Empty(t, causes(), "what is not known is no cause")
}

func TestAMissingCertificateIsAFailure(t *testing.T) {
	i := healthy(t)
	i.secret.Name = "other"
	i.answer = apicheck.Answer{Outcome: apicheck.NotCalled, Namespace: "default"}
	found := i.findingsOf(t, "certificate")
	require.Len(t, found, 1)
	require.Equal(t, Fail, found[0].Level)
	require.Contains(t, found[0].Text, "the serving certificate is missing")
}

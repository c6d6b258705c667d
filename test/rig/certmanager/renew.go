package main

import (
	"context"
	"fmt"
	"time"

	apiutil "github.com/cert-manager/cert-manager/pkg/api/util"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"github.com/cert-manager/cert-manager/pkg/client/clientset/versioned"
	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/retry"
)

func newRenewCommand(kubeconfig *string) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "renew CERTIFICATE",
		Short:   "Have a Certificate issued anew, as cmctl renew does, and wait for it",
		Example: `  certmanager renew --kubeconfig admin.kubeconfig --namespace dagger-inject dagger-inject`,
		Args:    cobra.ExactArgs(1),
	}
	namespace := cmd.Flags().StringP("namespace", "n", "default", "namespace of the Certificate")
	timeout := cmd.Flags().Duration("timeout", time.Minute, "how long to wait for the new certificate")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
		if err != nil {
			return err
		}
		client, err := versioned.NewForConfig(config)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), *timeout)
		defer cancel()
		return renew(ctx, client, *namespace, args[0])
	}
	return cmd
}

// renew marks a Certificate as issuing and returns once it has a later revision and is ready.
func renew(ctx context.Context, client versioned.Interface, namespace, name string) error {
	certificates := client.CertmanagerV1().Certificates(namespace)
	before := 0
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		certificate, err := certificates.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		before = revision(certificate)
		apiutil.SetCertificateCondition(certificate, certificate.Generation, cmapi.CertificateConditionIssuing, cmmeta.ConditionTrue,
			"ManuallyTriggered", "Certificate re-issuance manually triggered")
		_, err = certificates.UpdateStatus(ctx, certificate, metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		return err
	}
	err = wait.PollUntilContextCancel(ctx, 10*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		certificate, err := certificates.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		ready := cmapi.CertificateCondition{Type: cmapi.CertificateConditionReady, Status: cmmeta.ConditionTrue}
		return revision(certificate) > before && apiutil.CertificateHasCondition(certificate, ready), nil
	})
	if err != nil {
		return fmt.Errorf("waiting for the certificate %s/%s to be issued anew: %w", namespace, name, err)
	}
	return nil
}

func revision(certificate *cmapi.Certificate) int {
	if certificate.Status.Revision == nil {
		return 0
	}
	return *certificate.Status.Revision
}

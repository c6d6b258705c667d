package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/yaml"

	"github.com/dagger-inject/dagger-inject/inject/registration"
	"github.com/dagger-inject/dagger-inject/internal/apicheck"
	"github.com/dagger-inject/dagger-inject/internal/check"
	"github.com/dagger-inject/dagger-inject/test/rig/golden"
)

// checkCases is where each folder has a cluster, cluster.yaml, what its API server answers, answer.yaml, and what comes out.
// The folder itself has the configurations as they are registered, with the CA bundle ca.crt.
const checkCases = "test/data/check"

// checkNow is when the clusters are checked: their certificates are valid from January to March.
var checkNow = time.Date(2026, 2, 1, 12, 0, 0, 0, time.UTC)

// bothConfigurations are the chart's, with a CA bundle.
func bothConfigurations(t *testing.T, bundle []byte) string {
	t.Helper()
	client := func(path string) admissionregistrationv1.WebhookClientConfig {
		return admissionregistrationv1.WebhookClientConfig{CABundle: bundle, Service: &admissionregistrationv1.ServiceReference{
			Namespace: "dagger-inject", Name: "dagger-inject", Path: &path,
		}}
	}
	mutating, err := yaml.Marshal(registration.Configuration(client, "dagger-inject"))
	require.NoError(t, err)
	validating, err := yaml.Marshal(registration.ValidatingConfiguration(client))
	require.NoError(t, err)
	return string(mutating) + "---\n" + string(validating)
}

func TestCheckGoldens(t *testing.T) {
	dir := filepath.Join(repository, checkCases)
	bundle, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	require.NoError(t, err)
	golden.Require(t, filepath.Join(dir, "webhooks.yaml"), bothConfigurations(t, bundle))
	cases, err := filepath.Glob(filepath.Join(dir, "*", "cluster.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, cases)
	for _, file := range cases {
		of := filepath.Dir(file)
		t.Run(filepath.Base(of), func(t *testing.T) {
			objects, err := readManifests([]string{file, filepath.Join(dir, "webhooks.yaml"),
				filepath.Join(repository, "test/data/engines/v0.21.8-default/manifests.yaml")})
			require.NoError(t, err)
			text, err := os.ReadFile(filepath.Join(of, "answer.yaml"))
			require.NoError(t, err)
			var answer apicheck.Answer
			require.NoError(t, yaml.UnmarshalStrict(text, &answer))
			findings := check.Run(t.Context(), check.Options{
				Reader: objects, ReleaseNamespace: "dagger-inject", Now: checkNow, Version: "dev",
				Ask: func(context.Context) apicheck.Answer { return answer },
			})
			for output, file := range map[string]string{"": "expected.txt", "json": "expected.json"} {
				var out bytes.Buffer
				err := printFindings(streams{out: &out}, output, findings)
				var exit exitError
				if errors.As(err, &exit) {
					err = nil
				}
				require.NoError(t, err)
				if output == "" {
					_, _ = fmt.Fprintf(&out, "exit code %d\n", exit.code)
				}
				golden.Require(t, filepath.Join(of, file), out.String())
			}
		})
	}
}

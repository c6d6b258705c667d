package localcluster

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestVertical(t *testing.T) {
	c, err := Start(t.Context(), Options{Output: os.Stderr})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Stop()) })
	require.NoError(t, c.CreateNamespace(t.Context(), "dagger", nil, nil))
	began := time.Now()
	out, err := c.Helm(t.Context(), append([]string{"install", "dagger-inject", "../../charts/dagger-inject", "-n", "dagger-inject", "--create-namespace", "--wait", "--timeout", "2m", "--set", "check.enabled=false"}, ReleaseValues()...)...)
	os.WriteFile("/tmp/try/kubeconfig", must(os.ReadFile(c.Kubeconfig)), 0o600)
	t.Log(out, err, time.Since(began))
	for time.Since(began) < 10*time.Minute {
		if _, err := os.Stat("/tmp/try/stop"); err == nil {
			break
		}
		time.Sleep(time.Second)
	}
}
func must[T any](v T, err error) T { return v }

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// rounds is how many pods of each kind are measured.
const rounds = 20

// TestCostOfAStart prints how long a pod takes from its creation until its job container runs. The job prints the machine's
// uptime, which has hundredths of a second where the pod's status has seconds; node and test share the machine.
func TestCostOfAStart(t *testing.T) {
	needsOurNode(t, "it compares the clocks of the node and of this machine")
	deployEngine(t, defaultEngine, nil)
	readyEngine(t)
	namespace := newNamespace(t, nil, "")
	kinds := []struct{ name, inject string }{{"without injection", "false"}, {"with injection", "true"}}
	took := map[string][]time.Duration{}
	for range rounds {
		for _, kind := range kinds {
			pod := jobPod(t, "ARC", namespace, "cut -d' ' -f1 /proc/uptime")
			pod.Labels["dagger.io/inject"] = kind.inject
			created := uptime(t)
			started := seconds(t, runJob(t, pod, "ARC"))
			require.Equal(t, kind.inject == "true", statusOf(pod, "dagger-cli") != nil)
			took[kind.name] = append(took[kind.name], started-created)
			require.NoError(t, cluster.Delete(t.Context(), pod))
		}
	}
	for _, kind := range kinds {
		all := took[kind.name]
		slices.Sort(all)
		fmt.Printf("%s: created to started, n=%d: median %s, least %s, most %s\n", kind.name, len(all), all[len(all)/2], all[0], all[len(all)-1])
	}
}

func uptime(t *testing.T) time.Duration {
	t.Helper()
	text, err := os.ReadFile("/proc/uptime")
	require.NoError(t, err)
	first, _, _ := bytes.Cut(text, []byte(" "))
	return seconds(t, string(first))
}

func seconds(t *testing.T, text string) time.Duration {
	t.Helper()
	value, err := strconv.ParseFloat(string(bytes.TrimSpace([]byte(text))), 64)
	require.NoError(t, err)
	return time.Duration(value * float64(time.Second)).Round(10 * time.Millisecond)
}

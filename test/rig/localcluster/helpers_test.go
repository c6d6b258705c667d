package localcluster

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// assertT is what a condition that is polled reports to.
type assertT = assert.CollectT

// requireOwner wants a field of an object to be managed by one manager alone.
func requireOwner(t *testing.T, object client.Object, field, manager string) {
	t.Helper()
	var owners []string
	for _, entry := range object.GetManagedFields() {
		if entry.FieldsV1 != nil && strings.Contains(entry.FieldsV1.String(), `"`+field+`"`) {
			owners = append(owners, entry.Manager)
		}
	}
	require.Equal(t, []string{manager}, owners, "who manages %s", field)
}

// isRunners says whether a namespace is one that newNamespace made.
func isRunners(namespace string) bool { return strings.HasPrefix(namespace, runners) }

const runners = "runners-"

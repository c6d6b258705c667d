package webhook

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
)

// amplifying is a source whose policy makes a large answer of a pod with many containers.
func amplifying() Static {
	policy := "apiVersion: inject.dagger.io/v1alpha1\nkind: InjectionPolicy\nengine: {socket: {hostPath: /run/d}}\n" +
		"env: [{name: LARGE, value: '" + strings.Repeat("x", 30000) + "'}]"
	return Static{Policies: inject.NewPolicies(config.FromFile("test", []byte(policy), config.OriginCluster), nil, nil)}
}

func podOf(containers int) string {
	return strings.Replace(asking, `{"name":"a","image":"i"}`, strings.TrimSuffix(strings.Repeat(`{"name":"a"},`, containers), ","), 1)
}

func TestALargeAnswerIsWeighedWithLargeRequests(t *testing.T) {
	f := newFixture(t)
	f.Source = amplifying()
	require.True(t, largeInFlight.TryAcquire(maxLargeInFlight))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var w weight
	err := w.takeAnswer(ctx, f.Source.(Static).Policies.MostAdded(30))
	var refused *httpError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, http.StatusServiceUnavailable, refused.code)
	require.Zero(t, w.answer)

	ordinary := newFixture(t).post(reviewOf(asking))
	largeInFlight.Release(maxLargeInFlight)
	require.NotEmpty(t, response(t, ordinary).Patch, "ordinary pods do not wait for large ones")

	require.NotEmpty(t, response(t, f.post(reviewOf(podOf(30)))).Patch)
	require.True(t, largeInFlight.TryAcquire(maxLargeInFlight), "all of it is given back")
	largeInFlight.Release(maxLargeInFlight)
}

func TestAnAnswerThatWouldBeTooLargeIsARefusal(t *testing.T) {
	f := newFixture(t)
	f.Source = amplifying()
	w := f.post(reviewOf(podOf(256)))
	answer := response(t, w)
	require.False(t, answer.Allowed)
	require.EqualValues(t, http.StatusServiceUnavailable, answer.Result.Code)
	require.Contains(t, answer.Result.Message, "30027 bytes for each of 256 containers")
	require.Less(t, w.Body.Len(), 2000)
}

func TestADecisionThatTakesTooLongIsAnInternalFault(t *testing.T) {
	f := newFixture(t)
	f.decide = func(in inject.Input) *inject.Plan {
		require.False(t, in.Interrupted())
		in.Interrupted = func() bool { return true }
		return inject.Decide(in)
	}
	w := f.post(reviewOf(asking))
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.Contains(t, w.Body.String(), "took too long")
	require.EqualValues(t, 1, f.counted(inject.DecisionError, inject.ReasonInternalError))
}

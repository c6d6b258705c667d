package webhook

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/inject/registration"
)

// unsized hides the size of a body, as a chunked request does.
type unsized struct{ io.Reader }

func TestSizesAreBounded(t *testing.T) {
	f := newFixture(t)
	huge := reviewOf(`{"x":"` + strings.Repeat("x", MaxRequestBytes) + `"}`)
	require.Equal(t, http.StatusRequestEntityTooLarge, f.post(huge).Code)
	chunked := httptest.NewRequest(http.MethodPost, registration.PathPod, unsized{strings.NewReader(huge)})
	require.EqualValues(t, -1, chunked.ContentLength)
	require.Equal(t, http.StatusRequestEntityTooLarge, f.do(chunked, "application/json").Code)
	chunked = httptest.NewRequest(http.MethodPost, registration.PathPod, unsized{strings.NewReader(reviewOf(asking))})
	require.NotEmpty(t, response(t, f.do(chunked, "application/json")).Patch)

	short := httptest.NewRequest(http.MethodPost, registration.PathPod, strings.NewReader("{"))
	short.ContentLength = 100
	require.Equal(t, http.StatusBadRequest, f.do(short, "application/json").Code)
}

func TestBytesInFlightAreBounded(t *testing.T) {
	f := newFixture(t)
	require.True(t, largeInFlight.TryAcquire(maxLargeInFlight))
	large := strings.Replace(asking, `"image":"i"`, `"image":"`+strings.Repeat("i", smallRequest)+`"`, 1)
	w := f.post(reviewOf(large))
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Contains(t, w.Body.String(), "too many requests at one time")
	require.Equal(t, http.StatusOK, f.post(reviewOf(asking)).Code, "large requests do not keep ordinary ones out")
	largeInFlight.Release(maxLargeInFlight)
	require.Equal(t, http.StatusOK, f.post(reviewOf(large)).Code)
	require.True(t, largeInFlight.TryAcquire(maxLargeInFlight), "what was held is given back")
	largeInFlight.Release(maxLargeInFlight)
}

func TestLargePods(t *testing.T) {
	many := func(n int, of string) string { return strings.TrimSuffix(strings.Repeat(of+",", n), ",") }
	cases := map[string]struct {
		pod     string
		patched bool
	}{
		"3 MB of one value": {strings.Replace(asking, `"image":"i"`, `"image":"`+strings.Repeat("i", 3<<20)+`"`, 1), true},
		"1.5 MB of variables": {strings.Replace(asking, `"image":"i"`, `"env":[`+many(40000, `{"name":"VARIABLE","value":"value"}`)+`]`, 1),
			true},
		"200 containers":     {strings.Replace(asking, `{"name":"a","image":"i"}`, many(200, `{"name":"a","image":"i"}`), 1), true},
		"10,000 tolerations": {strings.Replace(asking, `"containers"`, `"tolerations":[`+many(10000, `{"key":"a"}`)+`],"containers"`, 1), true},
		"10,000 labels":      {strings.Replace(asking, `"dagger.io/inject"`, manyLabels(10000)+`"dagger.io/inject"`, 1), true},
		"10,000 terms": {strings.Replace(asking, `"containers"`,
			`"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[`+
				many(10000, `{"matchExpressions":[{"key":"a","operator":"Exists"}]}`)+`]}}},"containers"`, 1), true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			answer := response(t, newFixture(t).post(reviewOf(c.pod)))
			require.True(t, answer.Allowed)
			require.Equal(t, c.patched, len(answer.Patch) > 0)
		})
	}
}

func TestTenThousandContainersAreRefused(t *testing.T) {
	pod := strings.Replace(asking, `{"name":"a","image":"i"}`, strings.TrimSuffix(strings.Repeat(`{"name":"a","image":"i"},`, 10000), ","), 1)
	answer := response(t, newFixture(t).post(reviewOf(pod)))
	require.False(t, answer.Allowed)
	require.Contains(t, answer.Result.Message, "it has 10000 containers, more than 1024")
}

func manyLabels(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"l%d":"v",`, i)
	}
	return b.String()
}

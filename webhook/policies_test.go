package webhook

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/patch"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

const policyHeader = "apiVersion: inject.dagger.io/v1alpha1\nkind: InjectionPolicy\n"

func policyMap(namespace string, documents map[string]string) *corev1.ConfigMap {
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: config.ConfigMapName}, Data: map[string]string{}}
	for profile, text := range documents {
		cm.Data[profile+".yaml"] = policyHeader + text
	}
	return cm
}

func only(text string) map[string]string { return map[string]string{config.DefaultProfile: text} }

// answer is what a store comes to for a pod in a namespace: everything that a creator could see of it.
func answer(t *testing.T, s *PolicyStore, namespace, profile string) string {
	t.Helper()
	annotations := ""
	if profile != "" {
		annotations = `"annotations":{"dagger.io/policy":"` + profile + `"},`
	}
	var d rawjson.Document
	pod, err := d.Parse(`{"metadata":{` + annotations + `"labels":{"dagger.io/inject":"true"}},"spec":{"containers":[{"name":"a"}]}}`)
	require.NoError(t, err)
	plan := inject.Decide(inject.Input{Pod: pod, Namespace: inject.Namespace{Name: namespace}, Policies: s.Policies(namespace)})
	return fmt.Sprint(plan.Decision, plan.Reason, plan.Detail, plan.Status, string(patch.Marshal(plan.Operations)))
}

// event is something that happens to a ConfigMap.
type event struct {
	cm   *corev1.ConfigMap
	gone bool
}

func (e event) apply(s *PolicyStore) {
	if e.gone {
		s.Delete(e.cm)
		return
	}
	s.Set(e.cm)
}

// TestReplicasAgreeWhateverTheOrder plays the same changes to two stores: to one in the order in which they happened, to the
// other, as one that started late, only what is there in the end, in any order. They must not differ in any answer.
func TestReplicasAgreeWhateverTheOrder(t *testing.T) {
	namespaces := []string{"release", "a", "b", "c"}
	texts := []string{
		"engine: {socket: {hostPath: /run/d}}", "engine: {transport: tcp, tcp: {address: 'e:1'}}", "nonsense: 1", "onError: admit",
		"env: [{name: A, value: x}]", "engine: {socket: {hostPath: /run/d}}\noverrides: {fromNamespaces: [env, onError]}", "[", "",
	}
	for seed := range 300 {
		rng := rand.New(rand.NewPCG(uint64(seed), 2))
		early, last := NewPolicyStore("release"), map[string]event{}
		for range 1 + rng.IntN(20) {
			namespace := namespaces[rng.IntN(len(namespaces))]
			documents := only(texts[rng.IntN(len(texts))])
			if rng.IntN(3) == 0 {
				documents["large"] = texts[rng.IntN(len(texts))]
			}
			e := event{cm: policyMap(namespace, documents), gone: rng.IntN(5) == 0}
			e.apply(early)
			last[namespace] = e
		}
		late := NewPolicyStore("release")
		for _, i := range rng.Perm(len(namespaces)) {
			if e, happened := last[namespaces[i]]; happened && !e.gone {
				e.apply(late)
			}
		}
		for _, namespace := range namespaces[1:] {
			for _, profile := range []string{"", "large"} {
				require.Equal(t, answer(t, late, namespace, profile), answer(t, early, namespace, profile), "seed %d, namespace %s", seed, namespace)
			}
		}
	}
}

func TestAnInvalidPolicyIsNeverReplacedByAnOlderOne(t *testing.T) {
	s := NewPolicyStore("release")
	s.Set(policyMap("release", only("engine: {socket: {hostPath: /run/d}}")))
	s.Set(policyMap("a", only("env: [{name: A, value: x}]")))
	require.Contains(t, answer(t, s, "a", ""), string(inject.ReasonInjected))
	s.Set(policyMap("a", only("env: 1")))
	require.Contains(t, answer(t, s, "a", ""), string(inject.ReasonPolicyInvalid))
	require.Contains(t, answer(t, s, "b", ""), string(inject.ReasonInjected), "another namespace is not touched")
	s.Set(policyMap("release", only("engine: 1")))
	require.Contains(t, answer(t, s, "b", ""), string(inject.ReasonPolicyInvalid))
	s.Delete(policyMap("release", nil))
	require.Contains(t, answer(t, s, "b", ""), "the cluster's policy is missing", "nor by the built-in one")
}

// TestHostileConfigMaps has what a tenant may put into a ConfigMap: each is an error in bounded time, for its namespace alone.
func TestHostileConfigMaps(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for i := range 8 {
		bomb += fmt.Sprintf("b%d: &b%d [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n", i, i)
	}
	cases := map[string]struct {
		change func(*corev1.ConfigMap)
		want   string
	}{
		"1 MiB": {func(cm *corev1.ConfigMap) { cm.Data["policy.yaml"] = strings.Repeat("# x\n", 1<<18) }, "more than the 65536 accepted"},
		"many small": {func(cm *corev1.ConfigMap) {
			for i := range 100 {
				cm.Data[fmt.Sprintf("p%d.yaml", i)] = strings.Repeat(" ", 1000)
			}
		}, "bytes together, more than"},
		"many keys": {func(cm *corev1.ConfigMap) {
			for i := range 4000 {
				cm.Data[fmt.Sprintf("%0200d.yaml", i)] = ""
			}
		}, "bytes together, more than"},
		"binary data":  {func(cm *corev1.ConfigMap) { cm.BinaryData = map[string][]byte{"policy.yaml": {1}} }, "a policy is text"},
		"an odd key":   {func(cm *corev1.ConfigMap) { cm.Data["README"] = "" }, `key "README": want policy.yaml, or the name of a profile`},
		"an odder key": {func(cm *corev1.ConfigMap) { cm.Data["Large_One.yaml"] = "" }, `key "Large_One.yaml"`},
		"a size that is made up": {func(cm *corev1.ConfigMap) {
			cm.Annotations = map[string]string{"inject.dagger.io/dropped-bytes": "-2000000"}
			cm.Data["policy.yaml"] = strings.Repeat("# x\n", 1<<18)
		}, "more than the 65536 accepted"},
		"too many profiles": {func(cm *corev1.ConfigMap) {
			for i := range 20 {
				cm.Data[fmt.Sprintf("p%d.yaml", i)] = policyHeader
			}
		}, "21 keys, more than the 16 accepted"},
		"profiles of a large default": {func(cm *corev1.ConfigMap) {
			cm.Data["policy.yaml"] += strings.Repeat("# x\n", 8000)
			for i := range 12 {
				cm.Data[fmt.Sprintf("p%d.yaml", i)] = policyHeader
			}
		}, "each with policy.yaml, more than the 262144 accepted"},
		"a YAML bomb":       {func(cm *corev1.ConfigMap) { cm.Data["policy.yaml"] = bomb }, ""},
		"anchors":           {func(cm *corev1.ConfigMap) { cm.Data["policy.yaml"] += "env: &e []\n" }, "anchors and aliases are not accepted"},
		"several documents": {func(cm *corev1.ConfigMap) { cm.Data["policy.yaml"] += "---\n" + policyHeader }, "more than one YAML document"},
		"deep":              {func(cm *corev1.ConfigMap) { cm.Data["policy.yaml"] = strings.Repeat("{a: ", 15000) }, ""},
		"nothing":           {func(cm *corev1.ConfigMap) { cm.Data["policy.yaml"] = "" }, "the policy is empty"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := NewPolicyStore("release")
			s.Set(policyMap("release", only("engine: {socket: {hostPath: /run/d}}")))
			cm := policyMap("a", only(""))
			c.change(cm)
			direct := config.FromConfigMap(cm.DeepCopy(), config.OriginNamespace)
			_, err := stripConfigMap(cm)
			require.NoError(t, err)
			require.Less(t, len(fmt.Sprint(cm)), 2*config.MaxSize, "what the cache keeps is bounded")
			s.Set(cm)
			require.Equal(t, s.With(direct).Err(), s.Policies("a").Err(), "the cache changes nothing of what is said")
			got := answer(t, s, "a", "")
			require.Contains(t, got, string(inject.ReasonPolicyInvalid))
			require.Contains(t, got, c.want)
			require.Contains(t, answer(t, s, "b", ""), string(inject.ReasonInjected))
		})
	}
}

func TestOtherConfigMapsAreNotPolicies(t *testing.T) {
	s := NewPolicyStore("release")
	cm := policyMap("release", only(""))
	cm.Name = "other"
	s.Set(cm)
	s.Delete(cm)
	require.Error(t, s.Policies("a").Err())
}

func TestALookUpDoesNotAllocate(t *testing.T) {
	s := NewPolicyStore("release")
	s.Set(policyMap("release", only("engine: {socket: {hostPath: /run/d}}")))
	for i := range 1000 {
		s.Set(policyMap(fmt.Sprintf("ns-%d", i), only("env: [{name: A, value: x}]")))
	}
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		_ = s.Policies("ns-500")
		_ = s.Policies("none-of-its-own")
	}))
}

// TestPoliciesHoldBeforeTheyAreCompiled asks at once, and for one namespace not at all; and the cluster's policy changes while those of
// namespaces are compiled.
func TestPoliciesHoldBeforeTheyAreCompiled(t *testing.T) {
	s := NewPolicyStore("release")
	list := []any{policyMap("release", only("engine: {socket: {hostPath: /run/d}}"))}
	for i := range 200 {
		list = append(list, policyMap(fmt.Sprintf("ns-%d", i), only(fmt.Sprintf("env: [{name: A, value: x%d}]", i))))
	}
	s.setAll(list)
	s.Set(policyMap("release", only("engine: {socket: {hostPath: /run/changed}}")))
	for i := range 199 {
		got := answer(t, s, fmt.Sprintf("ns-%d", i), "")
		require.Contains(t, got, fmt.Sprintf(`"value":"x%d"`, i))
		require.Contains(t, got, "/run/changed")
	}
	require.Eventually(t, func() bool {
		compiled := s.find("ns-199").compiled.Load()
		return compiled != nil && compiled.on == s.cluster.Load()
	}, time.Minute, time.Millisecond)
}

func TestWhatHasNotChangedIsNotCompiledAgain(t *testing.T) {
	s := NewPolicyStore("release")
	all := func() []any {
		return []any{policyMap("a", only("")), policyMap("release", only("engine: {socket: {hostPath: /run/d}}"))}
	}
	s.setAll(all())
	before := s.Policies("a")
	s.setAll(all())
	require.Same(t, before, s.Policies("a"))
	s.setAll(all()[1:])
	require.False(t, s.Has("a"))
}

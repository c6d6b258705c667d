package inject

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/engine"
)

// anEngine is a DaemonSet's, with a socket, ready as far as it says.
func anEngine(name, version string, ready, wanted int32, change ...func(*engine.Discovered)) *engine.Discovered {
	d := &engine.Discovered{
		Identity: engine.Identity{
			Workload: engine.Workload{Kind: "DaemonSet", Namespace: "dagger", Name: name}, Version: version,
			Rollout: &engine.Rollout{Wanted: wanted, Ready: ready},
		},
		Image: "registry.dagger.io/engine:" + version, Socket: &engine.SocketOnNode{HostPath: "/run/" + name, File: "engine.sock"},
	}
	for _, c := range change {
		c(d)
	}
	return d
}

func draining(d *engine.Discovered) { d.Draining = true }

func byNodeTCP(d *engine.Discovered) { d.Socket, d.NodeTCP = nil, &engine.Port{Port: 1234} }

func inPool(pool string) func(*engine.Discovered) {
	return func(d *engine.Discovered) {
		d.NodeSelector = map[string]string{"pool": pool}
		d.Tolerations = []corev1.Toleration{{Key: "dagger-" + pool, Operator: corev1.TolerationOpExists}}
	}
}

func ofReplicas(n int32) func(*engine.Discovered) {
	return func(d *engine.Discovered) {
		d.Socket, d.Workload.Kind = nil, "StatefulSet"
		d.Replicas = &engine.Replicas{Name: d.Workload.Name, Namespace: "dagger", Service: "peers", Wanted: n, Offered: n, Port: 1234}
	}
}

// among compiles a cluster's policy with these engines.
func among(t testing.TB, policy string, engines ...*engine.Discovered) *Policies {
	t.Helper()
	p := NewPolicies(config.FromFile("cluster", []byte(header+policy), config.OriginCluster), nil,
		func(string, labels.Selector) (*engine.Found, error) {
			return &engine.Found{Engines: engines}, nil
		})
	require.NoError(t, p.Err())
	return p
}

func podThat(asks, spec string) string {
	annotations := ""
	if asks != "" {
		annotations = ", annotations: {dagger.io/engine: " + asks + "}"
	}
	return "{metadata: {name: p, labels: {dagger.io/inject: 'true'}" + annotations + "}, spec: {" + spec + "containers: [{name: a}]}}"
}

func TestWhichEngineAPodIsGiven(t *testing.T) {
	restricted := Namespace{Labels: map[string]string{labelEnforce: "restricted"}}
	old, mid, recent := anEngine("old", "v0.20.8", 3, 3), anEngine("mid", "v0.21.7", 3, 3), anEngine("new", "v0.21.8", 3, 3)
	cases := map[string]struct {
		policy, asks, spec string
		namespace          Namespace
		engines            []*engine.Discovered
		want               string // the name, or what the refusal says
	}{
		"the newest":                    {"", "", "", Namespace{}, []*engine.Discovered{old, recent, mid}, "new"},
		"the newest of a minor version": {"", "v0.20", "", Namespace{}, []*engine.Discovered{old, recent, mid}, "old"},
		"a whole version":               {"", "v0.21.7", "", Namespace{}, []*engine.Discovered{old, recent, mid}, "mid"},
		"a name":                        {"", "mid", "", Namespace{}, []*engine.Discovered{old, recent, mid}, "mid"},
		"the policy's version": {"engine: {discover: {version: v0.20}}", "", "", Namespace{},
			[]*engine.Discovered{old, recent}, "old"},
		"the pod takes it back": {"engine: {discover: {version: v0.20}}", "latest", "", Namespace{},
			[]*engine.Discovered{old, recent}, "new"},
		"the pod may not": {"overrides: {fromPods: []}", "v0.20", "", Namespace{}, []*engine.Discovered{old, recent},
			"dagger.io/engine: the policy does not let pods choose engine.discover.version"},
		"no such version": {"", "v0.19", "", Namespace{}, []*engine.Discovered{old, recent},
			"the annotation dagger.io/engine asks for v0.19, and there is v0.21.8 (DaemonSet dagger/new), v0.20.8 (DaemonSet dagger/old)"},
		"not that version of one": {"engine: {discover: {version: v0.19}}", "", "", Namespace{}, []*engine.Discovered{old},
			"the policy's engine.discover.version asks for v0.19, and there is v0.20.8 (DaemonSet dagger/old)"},
		"one that drains": {"", "", "", Namespace{},
			[]*engine.Discovered{old, anEngine("new", "v0.21.8", 3, 3, draining)}, "old"},
		"one that drains, by its name": {"", "new", "", Namespace{},
			[]*engine.Discovered{old, anEngine("new", "v0.21.8", 3, 3, draining)}, "new"},
		"one that drains, by its version": {"", "v0.21.8", "", Namespace{},
			[]*engine.Discovered{old, anEngine("new", "v0.21.8", 3, 3, draining)}, "new"},
		"one that drains, by half its version": {"", "v0.21", "", Namespace{},
			[]*engine.Discovered{old, anEngine("new", "v0.21.8", 3, 3, draining)},
			"asks for v0.21, and there is v0.21.8 (DaemonSet dagger/new, draining)"},
		"all drain": {"", "", "", Namespace{}, []*engine.Discovered{anEngine("old", "v0.20.8", 3, 3, draining)},
			"every engine is draining: v0.20.8"},
		"one that is rolling out": {"", "", "", Namespace{}, []*engine.Discovered{old, anEngine("new", "v0.21.8", 1, 3)}, "old"},
		"one that half is out":    {"", "", "", Namespace{}, []*engine.Discovered{old, anEngine("new", "v0.21.8", 2, 4)}, "new"},
		"any ready, before none": {"", "", "", Namespace{},
			[]*engine.Discovered{anEngine("old", "v0.20.8", 1, 3), anEngine("new", "v0.21.8", 0, 3)}, "old"},
		"none ready": {"", "", "", Namespace{},
			[]*engine.Discovered{anEngine("old", "v0.20.8", 0, 3), anEngine("new", "v0.21.8", 0, 3)}, "new"},
		"a transport that works for the pod": {"", "", "", restricted,
			[]*engine.Discovered{anEngine("old", "v0.20.8", 3, 3, byNodeTCP), recent}, "old"},
		"none works for the pod": {"", "", "", restricted,
			[]*engine.Discovered{anEngine("old", "v0.20.8", 3, 3, func(d *engine.Discovered) { d.Socket = nil }), recent},
			"hostPath volumes are forbidden"},
		"the transport that the policy names": {"engine: {transport: node-tcp}", "", "", Namespace{},
			[]*engine.Discovered{anEngine("old", "v0.20.8", 3, 3, byNodeTCP), recent}, "old"},
		"nodes that the pod selects": {"", "", "nodeSelector: {pool: b}, ", Namespace{},
			[]*engine.Discovered{anEngine("old", "v0.20.8", 3, 3, inPool("b")), anEngine("new", "v0.21.8", 3, 3, inPool("a"))}, "old"},
		"nodes of none": {"", "", "nodeSelector: {pool: c}, ", Namespace{},
			[]*engine.Discovered{anEngine("old", "v0.20.8", 3, 3, inPool("b")), anEngine("new", "v0.21.8", 3, 3, inPool("a"))},
			"pool=c, the policy's has a"},
		"a node by name may have either": {"", "", "nodeName: node-1, nodeSelector: {pool: b}, ", Namespace{},
			[]*engine.Discovered{anEngine("old", "v0.20.8", 3, 3, inPool("b")), anEngine("new", "v0.21.8", 3, 3, inPool("a"))}, "new"},
		"nodes, though nothing is copied": {"scheduling: {fromEngine: false}", "", "nodeSelector: {pool: b}, ", Namespace{},
			[]*engine.Discovered{anEngine("old", "v0.20.8", 3, 3, inPool("b")), anEngine("new", "v0.21.8", 3, 3, inPool("a"))}, "old"},
		"taints that the pod tolerates": {"", "", "tolerations: [{key: dagger-b, operator: Exists}], ", Namespace{},
			[]*engine.Discovered{anEngine("a", "v0.21.8", 3, 3, inPool("a")), anEngine("b", "v0.21.8", 3, 3, inPool("b"))}, "b"},
		"they do not outweigh a version": {"", "", "tolerations: [{key: dagger-b, operator: Exists}], ", Namespace{},
			[]*engine.Discovered{anEngine("a", "v0.21.8", 3, 3, inPool("a")), anEngine("b", "v0.21.7", 3, 3, inPool("b"))}, "a"},
		"a pod that tolerates all": {"", "", "tolerations: [{operator: Exists}], ", Namespace{},
			[]*engine.Discovered{anEngine("b", "v0.21.8", 3, 3, inPool("b")), anEngine("a", "v0.21.8", 3, 3, inPool("a"))}, "a"},
		"the first by name": {"", "", "", Namespace{},
			[]*engine.Discovered{anEngine("b", "v0.21.8+1", 3, 3), anEngine("a", "v0.21.8", 3, 3)}, "a"},
		"a version of an engine that is named": {"engine: {tcp: {address: 'e:1'}}", "v0.21", "", Namespace{}, nil,
			"of the engine that the policy names, no version is known"},
		"the one that the policy's path is of": {"engine: {socket: {hostPath: /run/old}}", "", "", Namespace{},
			[]*engine.Discovered{old, recent}, "old"},
		"a path of none is said of all": {"engine: {socket: {hostPath: /run/other}}", "", "", Namespace{},
			[]*engine.Discovered{old, recent}, "new"},
		"what the policy says of every engine": {"engine: {tls: {address: 'e:1'}, transport: tls}", "v0.20", "", Namespace{},
			[]*engine.Discovered{old, recent}, "old"},
		"its socket forbidden, by its own port": {"", "", "", restricted,
			[]*engine.Discovered{old, anEngine("new", "v0.21.8", 3, 3, func(d *engine.Discovered) { d.NodeTCP = &engine.Port{Port: 1} })}, "new"},
		"a port of the policy's and of one": {"engine: {nodeTCP: {port: 1234}, transport: node-tcp}", "", "", Namespace{},
			[]*engine.Discovered{anEngine("old", "v0.20.8", 3, 3, byNodeTCP), recent}, "old"},
		"an annotation that is none": {"", "''", "", Namespace{}, []*engine.Discovered{old}, `dagger.io/engine: "" is not accepted`},
		"a draining engine, by an exact policy": {"engine: {discover: {version: v0.20.8}}", "", "", Namespace{},
			[]*engine.Discovered{anEngine("old", "v0.20.8", 3, 3, draining), recent}, "old"},
		"the policy's version where pods may not": {"engine: {discover: {version: v0.20}}\noverrides: {fromPods: []}", "", "", Namespace{},
			[]*engine.Discovered{old, recent}, "old"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			in := input(t, podThat(c.asks, c.spec))
			in.Namespace, in.Policies = c.namespace, among(t, c.policy, c.engines...)
			plan := Decide(in)
			if plan.Decision != DecisionInjected {
				require.Contains(t, plan.Detail, c.want)
				return
			}
			require.Contains(t, []string{"DaemonSet dagger/" + c.want}, plan.Status.ReadFrom)
		})
	}
}

func TestANamespaceChoosesTheVersion(t *testing.T) {
	cluster := among(t, "engine: {discover: {version: v0.21}}", anEngine("old", "v0.20.8", 3, 3), anEngine("new", "v0.21.8", 3, 3))
	in := input(t, podThat("", ""))
	in.Policies = cluster.With(config.FromFile("team", []byte(header+"engine: {discover: {version: v0.20}}"), config.OriginNamespace))
	require.NoError(t, in.Policies.Err())
	require.Equal(t, "DaemonSet dagger/old", Decide(in).Status.ReadFrom)
	require.Equal(t, cluster.standard.engines, in.Policies.standard.engines)
	require.Same(t, &cluster.standard.engines[0], &in.Policies.standard.engines[0], "the engines are in memory once")
}

func TestTwoPoolsWithOnePortAreToldApart(t *testing.T) {
	both := func(readyA, readyB int32) []*engine.Discovered {
		return []*engine.Discovered{anEngine("a", "v0.21.8", readyA, 3, byNodeTCP, inPool("a")),
			anEngine("b", "v0.21.8", readyB, 3, byNodeTCP, inPool("b"))}
	}
	in := input(t, podThat("", ""))
	in.Policies = among(t, "cli: {delivery: none}", both(0, 3)...)
	first := Decide(in)
	require.Equal(t, "DaemonSet dagger/b", first.Status.ReadFrom)
	in.Pod = input(t, string(mustMarshal(patched(t, in, first)))).Pod
	in.Policies = among(t, "cli: {delivery: none}", both(3, 0)...)
	again := Decide(in)
	require.Equal(t, ReasonAlreadyInjected, again.Reason)
	require.Equal(t, "DaemonSet dagger/b", again.Status.ReadFrom, "by the pool that the pod is bound to")
}

func TestAPodThatAsksForAnotherThanItHasIsNotKept(t *testing.T) {
	in := input(t, podThat("v0.20", ""))
	in.Policies = among(t, "", anEngine("old", "v0.20.8", 3, 3), anEngine("new", "v0.21.8", 3, 3))
	pod := patched(t, in, Decide(in))
	pod.Annotations[AnnotationEngine] = "v0.21" // as in a manifest that was copied from a pod that runs
	in.Pod = input(t, string(mustMarshal(pod))).Pod
	plan := Decide(in)
	require.Equal(t, ReasonNameConflict, plan.Reason)
}

func TestPodsAreSpreadOverReplicas(t *testing.T) {
	const pods, replicas = 3000, 3
	policies := among(t, "", anEngine("engine", "v0.21.8", 3, 3, ofReplicas(replicas)))
	more := among(t, "", anEngine("engine", "v0.21.8", 4, 4, ofReplicas(replicas+1)))
	given, moved := map[string]int{}, 0
	for i := range pods {
		in := input(t, strings.Replace(podThat("", ""), "name: p", fmt.Sprintf("name: runner-%04d", i), 1))
		in.Policies = policies
		plan := Decide(in)
		given[plan.Status.Engine]++
		require.Equal(t, plan, Decide(in))
		in.Policies = more
		if Decide(in).Status.Engine != plan.Status.Engine {
			moved++
		}
	}
	require.Len(t, given, replicas)
	for address, n := range given {
		require.Regexp(t, `^tcp://engine-[012]\.peers\.dagger\.svc:1234$`, address)
		require.InDelta(t, pods/replicas, n, pods/replicas/10, "%v", given)
	}
	require.InDelta(t, pods/(replicas+1), moved, pods/(replicas+1)/5, "a replica more takes its share and moves no other")
}

func TestWhatTellsPodsApartBeforeTheyHaveAName(t *testing.T) {
	policies := among(t, "", anEngine("engine", "v0.21.8", 3, 3, ofReplicas(1000)))
	given := func(namespace, metadata string) string {
		in := input(t, "{metadata: {labels: {dagger.io/inject: 'true'}, "+metadata+"}, spec: {containers: [{name: a}]}}")
		in.Namespace.Name, in.Policies = namespace, policies
		return Decide(in).Status.Engine
	}
	const plain = "generateName: build-, ownerReferences: [{kind: Job, uid: one}]"
	first := given("ci", plain)
	require.Equal(t, first, given("ci", plain+", creationTimestamp: null"))
	for name, other := range map[string]string{
		"owner":  "generateName: build-, ownerReferences: [{kind: Job, uid: two}]",
		"prefix": "generateName: test-, ownerReferences: [{kind: Job, uid: one}]",
		"index":  plain + ", annotations: {batch.kubernetes.io/job-completion-index: '1'}", "name": plain + ", name: build-x",
	} {
		require.NotEqual(t, first, given("ci", other), name)
	}
	require.NotEqual(t, first, given("other", plain))
}

package webhook

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// awayServer is an API server that answers nothing until it is back, and never says which kinds it has. Then it has one engine
// in the namespace dagger.
func awayServer(t *testing.T) (config *rest.Config, back func(), asked *atomic.Int64) {
	t.Helper()
	var isBack atomic.Bool
	asked = &atomic.Int64{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		resource := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		kinds := map[string]string{"daemonsets": "DaemonSetList", "statefulsets": "StatefulSetList", "deployments": "DeploymentList",
			"services": "ServiceList"}
		switch {
		case !isBack.Load() || kinds[resource] == "":
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		case r.URL.Query().Get("sendInitialEvents") == "true":
			w.WriteHeader(http.StatusUnprocessableEntity) // as servers that know no such watches, whose objects are listed then
			return
		case r.URL.Query().Get("watch") == "true":
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return
		}
		list := appsv1.DaemonSetList{TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: kinds[resource]},
			ListMeta: metav1.ListMeta{ResourceVersion: "1"}}
		switch resource {
		case "daemonsets":
			list.Items = []appsv1.DaemonSet{*engineSet("dagger", "registry.dagger.io/engine:v0.21.8", "1")}
		case "services":
			list.APIVersion = "v1"
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(list)
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return &rest.Config{Host: server.URL, QPS: -1, ContentConfig: rest.ContentConfig{ContentType: "application/json"}},
		func() { isBack.Store(true) }, asked
}

// TestEnginesAreReadOnceTheAPIServerIsBack begins to read them while it is away.
func TestEnginesAreReadOnceTheAPIServerIsBack(t *testing.T) {
	t.Run("of namespaces", func(t *testing.T) {
		config, back, asked := awayServer(t)
		mapper, err := newMapper(config, http.DefaultClient)
		require.NoError(t, err)
		var known atomic.Pointer[engineState]
		w := newEngineWatcher(engineAPI{config, scheme.Scheme, mapper}, slog.New(slog.DiscardHandler), func(s engineState) { known.Store(&s) })
		go func() { _ = w.Start(t.Context()) }()
		w.want([]string{"dagger"})
		require.Eventually(t, func() bool {
			state := known.Load()
			return asked.Load() > 0 && state != nil && (*state)["dagger"].err != nil
		}, patience, tick)
		require.Error(t, w.ready(nil), "pods would be refused until it is tried again")
		back()
		require.Eventually(t, func() bool { return w.ready(nil) == nil }, patience, tick)
		_, err = known.Load().Discover("dagger", labels.Everything())
		require.NoError(t, err)
	})
	t.Run("of all", func(t *testing.T) {
		config, back, asked := awayServer(t)
		mapper, err := newMapper(config, http.DefaultClient)
		require.NoError(t, err)
		o := newOwnEngines(engineAPI{config, scheme.Scheme, mapper}, slog.New(slog.DiscardHandler))
		t.Cleanup(o.stop)
		require.Eventually(t, func() bool { return asked.Load() > 0 }, patience, tick)
		require.Error(t, o.ready(nil))
		_, err = o.discover("dagger", labels.Everything())
		require.Error(t, err)
		back()
		require.Eventually(t, func() bool { return o.ready(nil) == nil }, patience, tick)
		_, err = o.discover("dagger", labels.Everything())
		require.NoError(t, err)
	})
}

func TestKindsAreKnownWithoutTheAPIServer(t *testing.T) {
	config, _, asked := awayServer(t)
	mapper, err := newMapper(config, http.DefaultClient)
	require.NoError(t, err)
	objects := []runtime.Object{namespaceType(), &corev1.LimitRange{}, &corev1.ConfigMap{},
		(&occurrence{}).event("key", "replica", time.Now())}
	for _, kind := range engineKinds() {
		objects = append(objects, kind)
	}
	for _, object := range objects {
		_, err := apiutil.IsObjectNamespaced(object, scheme.Scheme, mapper)
		require.NoError(t, err, "%T", object)
	}
	require.Zero(t, asked.Load())
}

// Package chart checks what Helm makes of the chart. It is a module of its own: Helm and cert-manager's types bring in more
// than the program itself.
package chart

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/stretchr/testify/require"
	loader3 "helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	engine3 "helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/loader"
	"helm.sh/helm/v4/pkg/engine"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

const (
	repository = "../../.."
	chartDir   = repository + "/charts/dagger-inject"
	release    = "dagger-inject"
	namespace  = "dagger-inject"
	notes      = "dagger-inject/templates/NOTES.txt"
)

// values are the values of a case, as a user writes them.
type values = map[string]any

// render4 renders with Helm 4, which checks the values by their schema. It returns the texts by the templates' names.
func render4(set values) (map[string]string, error) {
	loaded, err := loader.Load(chartDir)
	if err != nil {
		return nil, err
	}
	all, err := util.ToRenderValues(loaded, set, common.ReleaseOptions{Name: release, Namespace: namespace, IsInstall: true, Revision: 1},
		common.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	return engine.Render(loaded, all)
}

// render3 does the same with Helm 3.
func render3(set values) (map[string]string, error) {
	loaded, err := loader3.Load(chartDir)
	if err != nil {
		return nil, err
	}
	options := chartutil.ReleaseOptions{Name: release, Namespace: namespace, IsInstall: true, Revision: 1}
	all, err := chartutil.ToRenderValues(loaded, set, options, chartutil.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	return engine3.Render(loaded, all)
}

var types = func() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(errors.Join(scheme.AddToScheme(s), certmanagerv1.AddToScheme(s), monitoringv1.AddToScheme(s)))
	return s
}()

var separator = regexp.MustCompile(`(?m)^---\n`)

// decode reads every object of a rendering into its Go type. A field that the type does not have is an error, and so is one that
// is there twice.
func decode(rendered map[string]string) ([]client.Object, error) {
	names := make([]string, 0, len(rendered))
	for name := range rendered {
		names = append(names, name)
	}
	sort.Strings(names)
	var objects []client.Object
	seen := map[string]bool{}
	for _, name := range names {
		if !strings.HasSuffix(name, ".yaml") {
			continue
		}
		for _, document := range separator.Split(rendered[name], -1) {
			var head any
			if err := yaml.UnmarshalStrict([]byte(document), &head); err != nil {
				return nil, fmt.Errorf("%s: %w\n%s", name, err, document)
			}
			if head == nil {
				continue
			}
			var meta runtime.TypeMeta
			if err := yaml.Unmarshal([]byte(document), &meta); err != nil {
				return nil, err
			}
			object, err := types.New(meta.GroupVersionKind())
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			if err := yaml.UnmarshalStrict([]byte(document), object); err != nil {
				return nil, fmt.Errorf("%s: %w\n%s", name, err, document)
			}
			o := object.(client.Object)
			id := fmt.Sprintf("%s %s/%s", meta.GroupVersionKind(), o.GetNamespace(), o.GetName())
			if seen[id] {
				return nil, fmt.Errorf("%s: %s is there twice", name, id)
			}
			seen[id] = true
			objects = append(objects, o)
		}
	}
	return objects, nil
}

// objects renders a case with both Helms and returns what both make of it.
func objects(t *testing.T, set values) []client.Object {
	t.Helper()
	rendered, err := render4(set)
	require.NoError(t, err)
	with3, err := render3(set)
	require.NoError(t, err)
	require.Equal(t, rendered, with3, "Helm 3 and 4 render the same")
	decoded, err := decode(rendered)
	require.NoError(t, err)
	return decoded
}

// all returns the objects of one type.
func all[T client.Object](objects []client.Object) []T {
	var found []T
	for _, object := range objects {
		if typed, ok := object.(T); ok {
			found = append(found, typed)
		}
	}
	return found
}

// named returns the object of a type and a name.
func named[T client.Object](t *testing.T, objects []client.Object, name string) T {
	t.Helper()
	for _, object := range all[T](objects) {
		if object.GetName() == name {
			return object
		}
	}
	var none T
	require.Fail(t, "missing", "no %T is named %s", none, name)
	return none
}

// one returns the only object of a type.
func one[T client.Object](t *testing.T, objects []client.Object) T {
	t.Helper()
	found := all[T](objects)
	require.Len(t, found, 1)
	return found[0]
}

// cases returns the values in testdata, by the files' names.
func cases(t *testing.T) map[string]values {
	t.Helper()
	files, err := filepath.Glob("testdata/*.yaml")
	require.NoError(t, err)
	found := map[string]values{}
	for _, file := range files {
		found[strings.TrimSuffix(filepath.Base(file), ".yaml")] = read(t, file)
	}
	require.Contains(t, found, "default")
	return found
}

func read(t *testing.T, file string) values {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	set := values{}
	require.NoError(t, yaml.Unmarshal(text, &set))
	return set
}

func parse(t *testing.T, text string) values {
	t.Helper()
	set := values{}
	require.NoError(t, yaml.Unmarshal([]byte(text), &set))
	return set
}

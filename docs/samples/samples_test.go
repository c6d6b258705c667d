// Package samples_test checks the samples as objects of a cluster: their fields exist, and what they name is there.
package samples_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"

	"github.com/dagger-inject/dagger-inject/config"
)

// foreign is the kinds whose Go types are not worth a dependency, with the paths that a sample may set.
var foreign = map[string][]string{
	"cert-manager.io/v1, Kind=ClusterIssuer": {"spec.selfSigned", "spec.ca.secretName"},
	"cert-manager.io/v1, Kind=Certificate": {
		"spec.isCA", "spec.commonName", "spec.secretName", "spec.duration", "spec.dnsNames", "spec.usages",
		"spec.privateKey.algorithm", "spec.privateKey.size", "spec.privateKey.rotationPolicy", "spec.issuerRef.kind", "spec.issuerRef.name",
	},
	"karpenter.sh/v1, Kind=NodePool": {
		"spec.template.metadata.labels.pool", "spec.template.spec.taints", "spec.template.spec.requirements",
		"spec.template.spec.nodeClassRef.group", "spec.template.spec.nodeClassRef.kind", "spec.template.spec.nodeClassRef.name",
		"spec.disruption.consolidationPolicy", "spec.disruption.consolidateAfter", "spec.limits.cpu", "spec.limits.memory",
	},
	"kubevirt.io/v1, Kind=VirtualMachine": {
		"spec.runStrategy", "spec.template.metadata.labels.app",
		"spec.template.spec.domain.cpu.cores", "spec.template.spec.domain.memory.guest",
		"spec.template.spec.domain.devices.disks", "spec.template.spec.domain.devices.interfaces",
		"spec.template.spec.networks", "spec.template.spec.volumes",
	},
}

// sample is the objects of one file.
type sample struct {
	file    string
	objects []runtime.Object
}

func samples(t *testing.T) []sample {
	t.Helper()
	files, err := filepath.Glob("*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	var all []sample
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		s := sample{file: file}
		for documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text))); ; {
			document, err := documents.Read()
			if err == io.EOF {
				break
			}
			require.NoError(t, err, file)
			if object := decode(t, file, document, decoder); object != nil {
				s.objects = append(s.objects, object)
			}
		}
		all = append(all, s)
	}
	return all
}

// decode is strict. A plain policy is no object of a cluster: it is checked where policies are.
func decode(t *testing.T, file string, document []byte, decoder runtime.Decoder) runtime.Object {
	t.Helper()
	var u unstructured.Unstructured
	require.NoError(t, yaml.UnmarshalStrict(document, &u.Object), file)
	kind := u.GroupVersionKind()
	if kind.Kind == config.Kind {
		return nil
	}
	if allowed, isForeign := foreign[kind.String()]; isForeign {
		for _, path := range paths("spec", u.Object["spec"]) {
			require.Contains(t, allowed, path, "%s: %s: a field that is not known here", file, kind)
		}
		return &u
	}
	object, _, err := decoder.Decode(document, nil, nil)
	require.NoError(t, err, file)
	return object
}

// paths lists the leaves below a value; what is below a list is not looked at.
func paths(at string, value any) []string {
	fields, ok := value.(map[string]any)
	if !ok || len(fields) == 0 {
		return []string{at}
	}
	var all []string
	for name, field := range fields {
		all = append(all, paths(at+"."+name, field)...)
	}
	return all
}

// find returns the objects of a type, by namespace/name.
func find[T metav1.Object](s sample) map[string]T {
	found := map[string]T{}
	for _, object := range s.objects {
		if o, ok := object.(T); ok {
			found[o.GetNamespace()+"/"+o.GetName()] = o
		}
	}
	return found
}

func TestObjectsHaveKnownFields(t *testing.T) {
	for _, s := range samples(t) {
		for _, object := range s.objects {
			o := object.(metav1.Object)
			require.NotEmpty(t, o.GetName(), s.file)
		}
	}
}

// podLabels returns the labels of the pods that a sample's workloads make, by namespace/name.
func podLabels(s sample) map[string]labels.Set {
	found := map[string]labels.Set{}
	for name, d := range find[*appsv1.Deployment](s) {
		found[name] = d.Spec.Template.Labels
	}
	for name, u := range find[*unstructured.Unstructured](s) {
		if set, ok, _ := unstructured.NestedStringMap(u.Object, "spec", "template", "metadata", "labels"); ok && u.GetKind() == "VirtualMachine" {
			found[name] = set
		}
	}
	return found
}

func TestServicesAndNetworkPoliciesSelectTheEngine(t *testing.T) {
	checked := 0
	for _, s := range samples(t) {
		pods := podLabels(s)
		policies := find[*networkingv1.NetworkPolicy](s)
		for name, service := range find[*corev1.Service](s) {
			require.Contains(t, pods, name, "%s: Service %s has no workload of its name", s.file, name)
			require.True(t, labels.SelectorFromSet(service.Spec.Selector).Matches(pods[name]), "%s: Service %s selects nothing", s.file, name)
			policy := policies[name]
			require.NotNil(t, policy, "%s: whoever reaches the engine is root there: %s needs a NetworkPolicy", s.file, name)
			selector, err := metav1.LabelSelectorAsSelector(&policy.Spec.PodSelector)
			require.NoError(t, err)
			require.True(t, selector.Matches(pods[name]), "%s: NetworkPolicy %s selects nothing", s.file, name)
			require.Len(t, policy.Spec.Ingress, 1, s.file)
			require.NotEmpty(t, policy.Spec.Ingress[0].From, "%s: NetworkPolicy %s admits everyone", s.file, name)
			require.Equal(t, service.Spec.Ports[0].Port, policy.Spec.Ingress[0].Ports[0].Port.IntVal, s.file)
			checked++
		}
	}
	require.Equal(t, 3, checked)
}

// TestPoliciesNameWhatIsThere follows the policies of samples that bring their own engine or Secret.
func TestPoliciesNameWhatIsThere(t *testing.T) {
	followed := map[string]int{}
	for _, s := range samples(t) {
		services := find[*corev1.Service](s)
		for name, cm := range find[*corev1.ConfigMap](s) {
			if !strings.HasSuffix(name, "/"+config.ConfigMapName) {
				continue
			}
			policy, err := config.Parse([]byte(cm.Data["policy.yaml"]))
			require.NoError(t, err, s.file)
			for _, address := range []string{policy.Engine.TCP.Address, policy.Engine.TLS.Address} {
				if address != "" && len(services) > 0 {
					requireService(t, s, address)
					followed["address"]++
				}
			}
			if token := policy.CloudToken; token.SecretName != "" {
				secret := find[*corev1.Secret](s)["arc-runners/"+token.SecretName]
				require.NotNil(t, secret, s.file)
				require.Contains(t, secret.StringData, token.Key, s.file)
				followed["token"]++
			}
			if tls := policy.Engine.TLS; tls.SecretName != "" {
				requireCertificates(t, s, tls)
				followed["certificates"]++
			}
		}
	}
	require.Equal(t, map[string]int{"address": 2, "token": 2, "certificates": 1}, followed)
}

func requireService(t *testing.T, s sample, address string) {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	require.NoError(t, err, s.file)
	parts := strings.Split(host, ".")
	service := find[*corev1.Service](s)[parts[1]+"/"+parts[0]]
	require.NotNil(t, service, "%s: no Service is %s", s.file, host)
	number, err := strconv.Atoi(port)
	require.NoError(t, err, s.file)
	require.True(t, slices.ContainsFunc(service.Spec.Ports, func(p corev1.ServicePort) bool { return int(p.Port) == number }), "%s: %s",
		s.file, address)
}

// requireCertificates checks that both ends have certificates of one CA, in the Secrets that are mounted.
func requireCertificates(t *testing.T, s sample, tls config.TLS) {
	t.Helper()
	others := find[*unstructured.Unstructured](s)
	text := func(o *unstructured.Unstructured, path ...string) string {
		require.NotNil(t, o, s.file)
		value, _, err := unstructured.NestedString(o.Object, path...)
		require.NoError(t, err)
		return value
	}
	server, client := others["dagger/dagger-engine"], others["arc-runners/dagger-client"]
	require.Equal(t, tls.SecretName, text(client, "spec", "secretName"))
	require.Equal(t, text(server, "spec", "issuerRef", "name"), text(client, "spec", "issuerRef", "name"))
	issuer, ca := others["/"+text(server, "spec", "issuerRef", "name")], others["cert-manager/dagger-engine-ca"]
	require.Equal(t, text(ca, "spec", "secretName"), text(issuer, "spec", "ca", "secretName"))
	names, _, err := unstructured.NestedStringSlice(server.Object, "spec", "dnsNames")
	require.NoError(t, err)
	host, _, err := net.SplitHostPort(tls.Address)
	require.NoError(t, err)
	require.Contains(t, names, host, "the client checks the name of the address")
	volumes := find[*appsv1.Deployment](s)["dagger/dagger-engine"].Spec.Template.Spec.Volumes
	require.True(t, slices.ContainsFunc(volumes, func(v corev1.Volume) bool {
		return v.Secret != nil && v.Secret.SecretName == text(server, "spec", "secretName")
	}))
}

// TestIndexListsEverySample keeps the README beside the samples complete.
func TestIndexListsEverySample(t *testing.T) {
	index, err := os.ReadFile("README.md")
	require.NoError(t, err)
	for _, s := range samples(t) {
		require.Equal(t, 1, strings.Count(string(index), "("+s.file+")"), "docs/samples/README.md: list %s once", s.file)
	}
}

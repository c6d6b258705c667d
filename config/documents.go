package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

const (
	// ConfigMapName is the name of every ConfigMap with a policy. The one in the release namespace has the cluster's policy;
	// one in any other namespace refines it there.
	ConfigMapName = "dagger-inject-policy"
	// keySuffix ends every key; what stands before it is the profile's name.
	keySuffix = ".yaml"
	// DefaultProfile is the profile of a pod that chooses none: key policy.yaml.
	DefaultProfile = "policy"

	// AnnotationSchemaRevision is the revision of the schema that the cluster's ConfigMap was written for. The chart sets it.
	// An older program ignores the fields that it does not know, so that upgrades and roll-backs work.
	AnnotationSchemaRevision = "inject.dagger.io/schema-revision"
	// SchemaRevision is the revision of the schema that this program knows. It grows with every new field.
	SchemaRevision = 5
)

// Documents is what a ConfigMap holds: a document for each profile.
type Documents struct {
	// Origin is OriginCluster or OriginNamespace.
	Origin Origin
	// Source names the ConfigMap or the file in messages.
	Source string
	// IgnoreUnknown: see Layer.
	IgnoreUnknown bool

	profiles []document // sorted; sorted; usually there is one, and a map of one would be ten times as large
	err      error
}

// keyDropped stands for data that Shrink dropped, and holds its size in bytes. No user can write this key, because the API
// server does not accept it.
const keyDropped = "/dropped"

type document struct {
	profile, text string
	// parse caches the parsed text. It is nil for the document of a namespace, which is not read as often as the cluster's.
	parse func() (*yaml.Node, *FieldError)
}

func (d *Documents) add(profile, text string) {
	added := document{profile: profile, text: text}
	if d.Origin == OriginCluster {
		added.parse = sync.OnceValues(func() (*yaml.Node, *FieldError) { return parseYAML([]byte(text)) })
	}
	d.profiles = append(d.profiles, added)
}

// Shrink drops from a ConfigMap what FromConfigMap does not read, to save memory: a tenant's ConfigMap may be as large as etcd
// allows. FromConfigMap reports the same errors for the shrunk ConfigMap as for the whole.
func Shrink(cm *corev1.ConfigMap) {
	var kept map[string]string
	if revision, ok := cm.Annotations[AnnotationSchemaRevision]; ok && len(revision) <= 20 {
		kept = map[string]string{AnnotationSchemaRevision: revision}
	}
	if size := dataSize(cm); size > MaxSize {
		cm.Data = map[string]string{keyDropped: strconv.Itoa(size)}
	}
	if len(cm.BinaryData) > 0 {
		cm.BinaryData = map[string][]byte{"": nil}
	}
	cm.ManagedFields, cm.Labels, cm.Annotations, cm.OwnerReferences, cm.Finalizers = nil, nil, kept, nil, nil
}

func dataSize(cm *corev1.ConfigMap) int {
	if dropped, err := strconv.Atoi(cm.Data[keyDropped]); err == nil {
		return dropped
	}
	size := 0
	for key, text := range cm.Data {
		size += len(key) + len(text)
	}
	return size
}

const (
	// maxProfiles is how many documents a ConfigMap may have. Each is layered on the default one and kept compiled.
	maxProfiles = 16
	// maxLayered bounds the layers of all profiles together, the default document counted with each.
	maxLayered = 4 * MaxSize
)

// FromConfigMap returns the documents of a ConfigMap. Errors in the ConfigMap itself come back from every Resolve: no part of
// it may hold while another is ignored.
func FromConfigMap(cm *corev1.ConfigMap, origin Origin) *Documents {
	d := &Documents{Origin: origin, Source: fmt.Sprintf("ConfigMap %s/%s", cm.Namespace, cm.Name)}
	if origin == OriginCluster {
		revision, err := strconv.Atoi(cm.Annotations[AnnotationSchemaRevision])
		d.IgnoreUnknown = err == nil && revision > SchemaRevision
	}
	var errs Errors
	fail := func(format string, args ...any) {
		errs = append(errs, FieldError{Source: d.Source, Problem: fmt.Sprintf(format, args...)})
	}
	if len(cm.BinaryData) > 0 {
		fail("binaryData: a policy is text: put it under data")
	}
	if size := dataSize(cm); size > MaxSize {
		fail("the policies have %d bytes together, more than the %d accepted", size, MaxSize)
	} else if n := len(cm.Data); n > maxProfiles {
		fail("%d keys, more than the %d accepted", n, maxProfiles)
	} else if layered := size + n*len(cm.Data[DefaultProfile+keySuffix]); layered > maxLayered {
		fail("the profiles have %d bytes together, each with %s%s, more than the %d accepted", layered, DefaultProfile, keySuffix, maxLayered)
	} else {
		for key := range cm.Data {
			name, ok := strings.CutSuffix(key, keySuffix)
			if !ok || len(validation.IsDNS1123Label(name)) > 0 {
				fail("key %q: want %s%s, or the name of a profile with %s after it, as in large%s", key, DefaultProfile, keySuffix, keySuffix,
					keySuffix)
			}
		}
	}
	slices.SortFunc(errs, func(a, b FieldError) int { return strings.Compare(a.Problem, b.Problem) })
	if len(errs) > 0 {
		d.err = errs
		return d
	}
	for key, text := range cm.Data {
		d.add(strings.TrimSuffix(key, keySuffix), text)
	}
	slices.SortFunc(d.profiles, func(a, b document) int { return strings.Compare(a.profile, b.profile) })
	return d
}

// Equal reports whether the documents are the same.
func (d *Documents) Equal(other *Documents) bool {
	if d == nil || other == nil {
		return d == other
	}
	same := func(a, b document) bool { return a.profile == b.profile && a.text == b.text }
	return d.Origin == other.Origin && d.Source == other.Source && d.IgnoreUnknown == other.IgnoreUnknown &&
		slices.EqualFunc(d.profiles, other.profiles, same) && reflect.DeepEqual(d.err, other.err)
}

// FromFile returns the documents of one policy file, which becomes the default profile.
func FromFile(name string, text []byte, origin Origin) *Documents {
	d := &Documents{Origin: origin, Source: name}
	d.add(DefaultProfile, string(text))
	return d
}

// BuiltIn returns the built-in policy as the cluster's.
func BuiltIn() *Documents { return FromFile("built-in", defaultPolicy, OriginCluster) }

// Profiles returns the names of the profiles that the documents have, sorted. The default profile is one of them only where
// it has a document.
func (d *Documents) Profiles() []string {
	if d == nil {
		return nil
	}
	names := make([]string, len(d.profiles))
	for i := range d.profiles {
		names[i] = d.profiles[i].profile
	}
	return names
}

// layers appends the documents' layers for a profile: the default one, then the profile's own.
func (d *Documents) layers(dst []Layer, profile string) []Layer {
	if d == nil {
		return dst
	}
	names := []string{DefaultProfile}
	if profile != DefaultProfile {
		names = append(names, profile)
	}
	for _, name := range names {
		if found := d.find(name); found != nil {
			source := d.Source
			if strings.HasPrefix(source, "ConfigMap ") {
				source += ", key " + name + keySuffix
			}
			dst = append(dst, Layer{Origin: d.Origin, Source: source, Document: []byte(found.text), IgnoreUnknown: d.IgnoreUnknown,
				parse: found.parse})
		}
	}
	return dst
}

// ErrNoClusterPolicy reports that the cluster's policy is missing. The built-in policy never replaces it: that would unlock
// what the cluster's policy locks.
var ErrNoClusterPolicy = fmt.Errorf("the cluster's policy is missing: the ConfigMap %s in the release namespace is not there, or has "+
	"no key %s%s",
	ConfigMapName, DefaultProfile, keySuffix)

// Resolve layers the cluster's documents and a namespace's (nil for none) for a profile, DefaultProfile where a pod chooses
// none.
func Resolve(cluster, namespace *Documents, profile string) (*Effective, error) {
	if cluster == nil {
		return nil, ErrNoClusterPolicy
	}
	for _, d := range []*Documents{cluster, namespace} {
		if d != nil && d.err != nil {
			return nil, d.err
		}
	}
	if !cluster.has(DefaultProfile) {
		return nil, ErrNoClusterPolicy
	}
	if !cluster.has(profile) && !namespace.has(profile) {
		known := append(cluster.Profiles(), namespace.Profiles()...)
		slices.Sort(known)
		return nil, fmt.Errorf("there is no profile %.60q: known are %s", profile, strings.Join(slices.Compact(known), ", "))
	}
	return Merge(namespace.layers(cluster.layers(nil, profile), profile)...)
}

func (d *Documents) has(profile string) bool {
	return d.find(profile) != nil
}

func (d *Documents) find(profile string) *document {
	if d == nil {
		return nil
	}
	i, ok := slices.BinarySearchFunc(d.profiles, profile, func(d document, name string) int { return strings.Compare(d.profile, name) })
	if !ok {
		return nil
	}
	return &d.profiles[i]
}

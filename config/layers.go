package config

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Origin is who set a field of a policy.
type Origin string

// The origins, in the order in which their layers apply.
const (
	OriginDefault   Origin = "default"
	OriginCluster   Origin = "cluster"
	OriginNamespace Origin = "namespace"
	OriginPod       Origin = "pod"
)

// Layer is one document of a policy.
type Layer struct {
	// Origin is OriginCluster or OriginNamespace. A namespace's document may set only the fields that the cluster's policy
	// permits.
	Origin Origin
	// Source names the document in messages, as in "ConfigMap ci/dagger-inject-policy, key small.yaml". It may be empty.
	Source string
	// Document is YAML or JSON, of at most MaxSize bytes.
	Document []byte
	// IgnoreUnknown ignores fields that this program does not know, instead of refusing them; see Effective.Ignored.
	IgnoreUnknown bool

	// parse reads the document; nil for parseYAML.
	parse func() (*yaml.Node, *FieldError)
}

// Effective is the result of merging layers.
type Effective struct {
	// Policy has every field's last value.
	Policy *InjectionPolicy
	// Ignored are the unknown fields of layers with IgnoreUnknown.
	Ignored Errors

	cacheAffinity bool // the cluster's layers turn placement by cache on

	layers []Layer
	set    []map[string]field // by layer
}

// field is one that a layer's document has.
type field struct {
	line int
	// leaf is true for a field that has a value, false for one that only contains other fields.
	leaf bool
}

// Merge applies layers one after the other. A key that is present is set, even if it is empty; a list or a map replaces the one
// before it. The error is of type Errors and lists everything that is wrong.
func Merge(layers ...Layer) (*Effective, error) {
	e := &Effective{Policy: withDefaults(), layers: layers, set: make([]map[string]field, len(layers))}
	var errs Errors
	for i := range layers {
		if i > 0 && layers[i].Origin == OriginNamespace && layers[i-1].Origin == OriginCluster && len(errs) == 0 {
			// Report errors in the cluster's policy first: a namespace's policy must not hide them.
			if errs = e.check(); len(errs) > 0 {
				break
			}
		}
		errs = append(errs, e.apply(i)...)
	}
	if len(errs) == 0 {
		errs = e.check()
	}
	if len(errs) > 0 {
		slices.SortStableFunc(errs, func(a, b FieldError) int {
			return cmp.Or(cmp.Compare(e.order(a.Source), e.order(b.Source)), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Path, b.Path))
		})
		return nil, errs.bounded()
	}
	complete(e.Policy)
	return e, nil
}

// Parse reads a policy of one document.
func Parse(document []byte) (*InjectionPolicy, error) {
	e, err := Merge(Layer{Origin: OriginCluster, Document: document})
	if err != nil {
		return nil, err
	}
	return e.Policy, nil
}

// check validates the result of the layers so far.
func (e *Effective) check() Errors {
	e.dropUnknownOverrides()
	errs := validate(e.Policy)
	for i := range errs {
		e.locate(&errs[i])
	}
	return errs
}

// order is the place of a layer among the others, by its source.
func (e *Effective) order(source string) int {
	return slices.IndexFunc(e.layers, func(l Layer) bool { return l.Source == source })
}

func (l *Layer) root() (*yaml.Node, *FieldError) {
	if l.parse != nil {
		return l.parse()
	}
	return parseYAML(l.Document)
}

// apply decodes one layer over those before it.
func (e *Effective) apply(i int) Errors {
	layer := &e.layers[i]
	mayBeSet, before := e.Policy.Overrides.FromNamespaces, e.Policy.Engine.Transport
	d := decoder{fields: map[string]field{}, ignoreUnknown: layer.IgnoreUnknown}
	e.set[i] = d.fields
	if len(layer.Document) > MaxSize {
		d.errs = Errors{{Problem: fmt.Sprintf("the policy has %d bytes, more than the %d accepted", len(layer.Document), MaxSize)}}
	} else if root, err := layer.root(); err != nil {
		d.errs = Errors{*err}
	} else {
		e.Policy.APIVersion, e.Policy.Kind = "", ""
		d.decodeDocument(root, e.Policy)
		if len(d.errs) == 0 {
			v := &validator{}
			v.header(e.Policy)
			d.errs = v.errs
		}
		if layer.Origin == OriginNamespace {
			d.errs = append(d.errs, locked(d.fields, mayBeSet)...)
			d.errs = append(d.errs, lockedSidecar(d.fields, before, e.Policy.Engine.Transport, mayBeSet)...)
			d.errs = append(d.errs, e.lockedCacheAffinity(d.fields)...)
		} else {
			e.cacheAffinity = e.Policy.Scheduling.CacheAffinity.Enabled
		}
	}
	for n := range d.errs {
		if d.errs[n].Line == 0 {
			d.errs[n].Line = d.fields[d.errs[n].Path].line
		}
		d.errs[n].Source = layer.Source
	}
	for _, ignored := range d.ignored {
		ignored.Source = layer.Source
		e.Ignored = append(e.Ignored, ignored)
	}
	return d.errs
}

// locked refuses fields that a namespace sets without permission.
func locked(fields map[string]field, mayBeSet []string) Errors {
	var errs Errors
	for path, f := range fields {
		if !f.leaf || inLeaf(fields, path) || path == "apiVersion" || path == "kind" || Permits(mayBeSet, path) {
			continue
		}
		errs = append(errs, FieldError{Path: path, Line: f.line,
			Problem: "locked: the cluster's policy does not let namespaces set it (overrides.fromNamespaces)"})
	}
	return errs
}

// lockedSidecar refuses a namespace that chooses the transport sidecar without permission: a privileged container is more than another
// way to the same engine.
func lockedSidecar(fields map[string]field, before, after Transport, mayBeSet []string) Errors {
	const path = "engine.transport"
	if after != TransportSidecar || before == TransportSidecar || Permits(mayBeSet, FieldSidecar) {
		return nil
	}
	return Errors{{Path: path, Line: fields[path].line,
		Problem: "locked: the cluster's policy does not let namespaces choose sidecar (overrides.fromNamespaces: " + FieldSidecar + ")"}}
}

// lockedCacheAffinity refuses a namespace that turns placement by cache on. Only the cluster's operator knows whether its autoscaler
// can do with it.
func (e *Effective) lockedCacheAffinity(fields map[string]field) Errors {
	if e.cacheAffinity || !e.Policy.Scheduling.CacheAffinity.Enabled {
		return nil
	}
	return Errors{{Path: FieldCacheAffinity, Line: fields[FieldCacheAffinity].line,
		Problem: "locked: a namespace may turn it off, and the cluster's policy does not turn it on"}}
}

// inLeaf reports whether a field is in one that is reported as a whole.
func inLeaf(fields map[string]field, path string) bool {
	for at := parent(path); at != ""; at = parent(at) {
		if fields[at].leaf {
			return true
		}
	}
	return false
}

// Permits reports whether a list of field paths contains a field or one of its parents.
func Permits(paths []string, field string) bool {
	return slices.ContainsFunc(paths, func(path string) bool {
		rest, ok := strings.CutPrefix(field, path)
		return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}

// locate returns the last layer that has the field of an error, or that field's closest parent.
func (e *Effective) locate(err *FieldError) {
	for path := err.Path; path != ""; path = parent(path) {
		for i := len(e.layers) - 1; i >= 0; i-- {
			if f, ok := e.set[i][path]; ok {
				err.Line, err.Source = f.line, e.layers[i].Source
				return
			}
		}
	}
	if len(e.layers) == 1 {
		err.Source = e.layers[0].Source
	}
}

// parent returns the path of the field that holds another, empty for one at the top.
func parent(path string) string {
	return path[:max(0, strings.LastIndexAny(path, ".["))]
}

// Hash identifies the content of the layers: it changes with any document.
func (e *Effective) Hash() string {
	h := sha256.New()
	for _, layer := range e.layers {
		_, _ = fmt.Fprintf(h, "%s %d\n", layer.Origin, len(layer.Document))
		_, _ = h.Write(layer.Document)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)[:6])
}

// IsSet reports whether any layer's document has the field.
func (e *Effective) IsSet(path string) bool {
	return slices.ContainsFunc(e.set, func(fields map[string]field) bool { _, ok := fields[path]; return ok })
}

// SetToNothing returns, sorted, the fields that a layer set to an empty value: those that are set and not among the ones shown.
func (e *Effective) SetToNothing(shown func(path string) bool) []string {
	var paths []string
	for _, fields := range e.set {
		for path, f := range fields {
			// A field within a list or a Kubernetes value belongs to that, and a section says nothing of its own.
			within := slices.ContainsFunc(e.set, func(set map[string]field) bool { return inLeaf(set, path) })
			below := shown(path) || within || !f.leaf
			for _, other := range e.set {
				for deeper := range other {
					below = below || strings.HasPrefix(deeper, path+".") && shown(deeper)
				}
			}
			if !below && !slices.Contains(paths, path) {
				paths = append(paths, path)
			}
		}
	}
	slices.Sort(paths)
	return paths
}

// Setter returns the layer that set a field last, and the line; OriginDefault where none did.
func (e *Effective) Setter(path string) (Layer, int) {
	for i := len(e.layers) - 1; i >= 0; i-- {
		for at := path; at != ""; at = parent(at) {
			if f, ok := e.set[i][at]; ok && (f.leaf || at == path) {
				return e.layers[i], f.line
			}
		}
	}
	return Layer{Origin: OriginDefault}, 0
}

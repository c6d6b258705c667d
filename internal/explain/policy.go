package explain

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

// Policy is the policy that applies, and who set the deciding fields.
type Policy struct {
	// Profile is the profile of the policy.
	Profile string `json:"profile,omitempty"`
	// Fields are the deciding fields that somebody set, and the two that are always shown.
	Fields []Field `json:"fields,omitempty"`
	// Problems are the errors in the policy.
	Problems []string `json:"problems,omitempty"`
}

// Field is a field of the policy.
type Field struct {
	Path  string          `json:"path"`
	Value json.RawMessage `json:"value"`
	inject.FieldOrigin
}

// always are fields that are shown even if their value is a default.
var always = []string{"engine.transport", "onError"}

// sections have the deciding fields for every transport.
var sections = []string{
	"engine.discover", "engine.transport", "cli", "wait", "scheduling", "containers", "onError", "namespaces", "podSecurity",
}

// section is the section that configures a transport.
var section = map[config.Transport]string{
	config.TransportSocket:  "engine.socket",
	config.TransportNodeTCP: "engine.nodeTCP",
	config.TransportTCP:     "engine.tcp",
	config.TransportTLS:     "engine.tls",
	config.TransportSidecar: "engine.sidecar",
}

// policy returns the policy that holds for the pod, or nil if it cannot be read.
func (j *job) policy(pod rawjson.Value) *Policy {
	if j.policies == nil {
		return nil
	}
	effective, err := j.policies.Effective(config.DefaultProfile, pod)
	if err != nil {
		return &Policy{Problems: strings.Split(err.Error(), "\n")}
	}
	return &Policy{Profile: effective.Profile, Fields: fields(effective, j.Transports)}
}

func fields(e *inject.Effective, transports []inject.TransportTrace) []Field {
	decisive := slices.Clone(sections)
	for _, t := range transports {
		if t.Taken {
			decisive = append(decisive, section[t.Transport])
		}
	}
	text, err := json.Marshal(e.Policy)
	if err != nil {
		return nil
	}
	var index rawjson.Document
	root, err := index.Parse(string(text))
	if err != nil {
		return nil
	}
	var found []Field
	var walk func(v rawjson.Value, path string)
	walk = func(v rawjson.Value, path string) {
		if v.Kind() == rawjson.Object {
			for name, member := range v.Members() {
				walk(member, strings.TrimPrefix(path+"."+name, "."))
			}
			return
		}
		origin := e.OriginOf(path)
		if config.Permits(decisive, path) && (origin.Origin != config.OriginDefault || slices.Contains(always, path)) {
			found = append(found, Field{Path: path, Value: json.RawMessage(v.Text()), FieldOrigin: origin})
		}
	}
	walk(root, "")
	return found
}

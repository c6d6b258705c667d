package engine

import (
	"fmt"

	"golang.org/x/mod/semver"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Latest stands for no particular version, like an empty value. A pod uses it to override the version that its policy asks
// for.
const Latest = "latest"

// Wanted says which engines a policy or a pod asks for, by version or by name. The zero Wanted accepts any engine.
type Wanted struct {
	version, name string
}

// ParseWanted reads what a pod may ask for: a version, vX, vX.Y or vX.Y.Z, Latest, or the name of a workload.
func ParseWanted(text string) (Wanted, error) {
	switch {
	case text == Latest:
		return Wanted{}, nil
	case semver.IsValid(text):
		return Wanted{version: text}, nil
	case len(validation.IsDNS1123Subdomain(text)) == 0:
		return Wanted{name: text}, nil
	}
	return Wanted{}, fmt.Errorf("%.60q is not accepted: "+
		"accepted is a version, as in v0.21 or v0.21.8, latest, or the name of an engine's workload", text)
}

// IsAny reports whether any engine will do.
func (w Wanted) IsAny() bool { return w == Wanted{} }

// String returns what is asked for, as it was written.
func (w Wanted) String() string { return w.name + w.version }

// Matches reports whether an engine is what is asked for. Build metadata does not count.
func (w Wanted) Matches(e *Identity) bool {
	switch {
	case w.IsAny():
		return true
	case w.name != "":
		return w.name == e.Workload.Name
	case !semver.IsValid(e.Version):
		return false
	case w.isExact():
		return CompareVersions(w.version, e.Version) == 0
	case w.version == semver.Major(w.version):
		return w.version == semver.Major(e.Version)
	}
	return w.version == semver.MajorMinor(e.Version)
}

// isExact reports whether the version has all of its numbers.
func (w Wanted) isExact() bool {
	return semver.Canonical(w.version)+semver.Build(w.version) == w.version
}

// NamesOne reports whether w asks for one particular engine, which is then chosen even if it is draining.
func (w Wanted) NamesOne() bool { return w.name != "" || w.version != "" && w.isExact() }

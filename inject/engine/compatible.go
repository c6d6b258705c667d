package engine

import (
	"fmt"
	"strings"

	"golang.org/x/mod/semver"
)

// The rules of the dagger repository's engine/version.go.
const (
	// minimum is what clients and engines since v0.19.0 need each other to be: MinimumEngineVersion and MinimumClientVersion.
	minimum = "v0.19.0"
	// basesSince is the first version that compares base versions: before, a pre-release of the minimum was too old.
	basesSince = "v1.0.0-beta.7"
	// preSemver is what an engine's answer that is no version is taken for.
	preSemver = "v0.11.9"
	// newIDsSince is the first version that writes IDs in a way that older ones cannot read, nor it theirs (dagger#11856).
	newIDsSince = "v0.21.0"
)

// IncompatibleError is a pair of versions that does not work together.
type IncompatibleError struct{ sentence string }

// Error says which of the two is too old.
func (e *IncompatibleError) Error() string { return e.sentence }

func incompatible(format string, args ...any) error {
	return &IncompatibleError{fmt.Sprintf(format, args...)}
}

// Compatible judges an engine's version against a client's as those two would: each needs the other to be at least
// v0.19.0, unless it is itself older: then the pair gets the benefit of the doubt, as an old engine's own CLI fits it. An
// unknown client, "", is taken for a current one. The note says what is worth knowing about a pair that passes. The error is an
// IncompatibleError, or says that the client's version is none.
func Compatible(engine, client string) (note string, err error) {
	if engine == "" {
		return "the engine does not know its version", nil // A build by hand; clients let it pass, too.
	}
	e := withV(engine)
	if !semver.IsValid(e) {
		e = preSemver
	}
	if client == "" {
		if !accepts(minimum, e) {
			return "", incompatible("the engine is %.100s, and clients since %s need at least that", engine, minimum)
		}
		return "", nil
	}
	if err := CheckVersion(client); err != nil {
		return "", err
	}
	c := withV(client)
	switch {
	case !accepts(c, e):
		return "", incompatible("the engine is %.100s, and a client of %.100s needs at least %s", engine, c, minimum)
	case !accepts(e, c):
		return "", incompatible("the client is %.100s, and an engine of %.100s needs at least %s", c, engine, minimum)
	case semver.Compare(e, c) == 0:
		return "", nil
	case unruled(e):
		return c + " was expected; before " + minimum + " there is no rule that says whether the two work together", nil
	case differInIDs(e, c):
		return c + " was expected; the two connect, but " + idsDiffer, nil
	}
	return c + " was expected; the two work together", nil
}

// accepts reports whether an engine or a client of one version lets the other's version pass.
func accepts(judge, other string) bool {
	least := minimum
	switch {
	case unruled(judge):
		return true
	case semver.Compare(judge, least) < 0:
		least = judge // A pre-release of the minimum asks for no more than itself.
	}
	switch {
	case semver.Compare(judge, basesSince) >= 0:
		least, other = base(least), base(other)
	case dev(judge) && dev(other): // Two development builds do not hold each other's pre-release against them.
		other = base(other)
	}
	return semver.Compare(other, least) >= 0
}

// unruled reports whether a version is from before the minimum: it had another, which its own CLI met.
func unruled(v string) bool { return semver.Compare(base(v), minimum) < 0 }

// dev reports whether it is a development build, which is of the form vX.Y.Z-TIMESTAMP-dev-HASH.
func dev(v string) bool { return strings.Contains(semver.Prerelease(v), "-dev-") }

// idsDiffer says what becomes of a pair that connects, but differs in its IDs.
const idsDiffer = "as only one of them is older than " + newIDsSince + `, steps that return a Container fail with "failed to decode ID"`

func differInIDs(a, b string) bool {
	return (semver.Compare(base(a), newIDsSince) < 0) != (semver.Compare(base(b), newIDsSince) < 0)
}

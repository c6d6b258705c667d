package engine

import (
	"fmt"
	"strings"

	"golang.org/x/mod/semver"
)

// The rules of the dagger repository's engine/version.go.
const (
	// minimum is the oldest version that clients and engines since v0.19.0 accept of each other: MinimumEngineVersion and
	// MinimumClientVersion.
	minimum = "v0.19.0"
	// basesSince is the first version that compares versions without their pre-release. Older versions reject a pre-release of
	// the minimum.
	basesSince = "v1.0.0-beta.7"
	// preSemver stands for an engine whose answer is not a version.
	preSemver = "v0.11.9"
	// newIDsSince is the first version with a new format of IDs. It cannot read the IDs of older versions, and they cannot
	// read its own (dagger#11856).
	newIDsSince = "v0.21.0"
)

// IncompatibleError says that a client and an engine of two versions do not work together.
type IncompatibleError struct{ sentence string }

// Error says which of the two is too old.
func (e *IncompatibleError) Error() string { return e.sentence }

func incompatible(format string, args ...any) error {
	return &IncompatibleError{fmt.Sprintf(format, args...)}
}

// Compatible judges the versions of an engine and a client by their own rules: each requires the other to be at least v0.19.0.
// One that is older than that has another minimum, which is not checked here: an old engine's own CLI works with it. An
// unknown client, "", counts as a current one. The note says what is worth knowing about a pair that passes. The error is an
// IncompatibleError, or says that the client's version is not a version.
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
		least = judge // A pre-release of the minimum requires only itself.
	}
	switch {
	case semver.Compare(judge, basesSince) >= 0:
		least, other = base(least), base(other)
	case dev(judge) && dev(other): // Between two development builds, the pre-release does not count.
		other = base(other)
	}
	return semver.Compare(other, least) >= 0
}

// unruled reports whether a version is older than the minimum. It had another minimum, which its own CLI meets.
func unruled(v string) bool { return semver.Compare(base(v), minimum) < 0 }

// dev reports whether v is a development build, of the form vX.Y.Z-TIMESTAMP-dev-HASH.
func dev(v string) bool { return strings.Contains(semver.Prerelease(v), "-dev-") }

// idsDiffer says what fails if a client and an engine connect and have different formats of IDs.
const idsDiffer = "as only one of them is older than " + newIDsSince + `, steps that return a Container fail with "failed to decode ID"`

func differInIDs(a, b string) bool {
	return (semver.Compare(base(a), newIDsSince) < 0) != (semver.Compare(base(b), newIDsSince) < 0)
}

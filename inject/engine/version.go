package engine

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// minimum is what clients and engines since v0.19.0 need each other to be: MinimumEngineVersion and MinimumClientVersion
// of the dagger repository's engine/version.go.
const minimum = "v0.19.0"

// semver is a version as far as the engine's rule looks at it.
type semver struct {
	text       string
	core       [3]uint64
	prerelease string
}

// CheckVersion reports whether s is a version that Compatible can judge.
func CheckVersion(s string) error {
	_, err := parseVersion(s)
	return err
}

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
	e, err := parseVersion(engine)
	if err != nil {
		e = semver{text: engine, core: [3]uint64{0, 11, 9}} // Clients, too, take it for the last version without semver.
	}
	if client == "" {
		if e.old(false) {
			return "", incompatible("the engine is %.100s, and clients since %s need at least that", engine, minimum)
		}
		return "", nil
	}
	c, err := parseVersion(client)
	if err != nil {
		return "", err
	}
	both := e.dev() && c.dev() // Two development builds do not hold each other's pre-release against them.
	switch oldEngine, oldClient := e.old(both), c.old(both); {
	case oldEngine && !oldClient:
		return "", incompatible("the engine is %.100s, and a client of %s needs at least %s", engine, c.text, minimum)
	case oldClient && !oldEngine:
		return "", incompatible("the client is %s, and an engine of %.100s needs at least %s", c.text, engine, minimum)
	case e.text != c.text && oldEngine:
		return c.text + " was expected; before " + minimum + " there is no rule that says whether the two work together", nil
	case e.text != c.text:
		return c.text + " was expected; the two work together", nil
	}
	return "", nil
}

// releaseOf returns the release in the tag of an image of the Dagger Engine's, vX.Y.Z, empty where there is none: the tag of
// another image is somebody's own. What follows it may say how the image was built, as in v0.19.0-gpu, and is left out.
func releaseOf(image string) string {
	_, tag := splitImage(image)
	v, err := parseVersion(tag)
	if err != nil || tag[0] != 'v' || !isEngineImage(image) {
		return ""
	}
	return fmt.Sprintf("v%d.%d.%d", v.core[0], v.core[1], v.core[2])
}

// old reports whether the version is below the minimum. A pre-release of the minimum is.
func (v semver) old(ignorePrerelease bool) bool {
	order := slices.Compare(v.core[:], []uint64{0, 19, 0})
	return order < 0 || order == 0 && v.prerelease != "" && !ignorePrerelease
}

// dev reports whether it is a development build, which is of the form vX.Y.Z-TIMESTAMP-dev-HASH.
func (v semver) dev() bool { return slices.Contains(strings.Split(v.prerelease, "-"), "dev") }

func parseVersion(s string) (semver, error) {
	v := semver{text: "v" + strings.TrimPrefix(s, "v")}
	rest, _, _ := strings.Cut(v.text[1:], "+")
	core, prerelease, dashed := strings.Cut(rest, "-")
	bad := fmt.Errorf("%q is not a version: want vX.Y.Z", s)
	if dashed && prerelease == "" || strings.IndexFunc(s, notInVersion) >= 0 {
		return semver{}, bad
	}
	v.prerelease = prerelease
	parts := strings.Split(core, ".")
	if len(parts) != len(v.core) {
		return semver{}, bad
	}
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 32)
		if err != nil || strconv.FormatUint(n, 10) != part {
			return semver{}, bad
		}
		v.core[i] = n
	}
	return v, nil
}

func notInVersion(r rune) bool {
	return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '.' && r != '-' && r != '+'
}

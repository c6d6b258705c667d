package engine

import (
	"fmt"
	"regexp"
	"strings"

	"golang.org/x/mod/semver"
)

// CheckVersion reports whether s is a version that Compatible can judge: vX.Y.Z, maybe with a pre-release and build metadata.
// As for the engine, the v may be missing.
func CheckVersion(s string) error {
	// The library takes v1 and v1.2 for versions; nobody who writes a version of Dagger means those.
	if v := withV(s); semver.Canonical(v)+semver.Build(v) != v || !semver.IsValid(v) {
		return fmt.Errorf("%q is not a version: want vX.Y.Z", s)
	}
	return nil
}

// CompareVersions returns -1, 0 or 1 as a is older than b, as old, or newer. Build metadata does not count. What is no version is
// older than any.
func CompareVersions(a, b string) int { return semver.Compare(withV(a), withV(b)) }

// ImageVersion returns the version of the engine and of the CLI in an image of the Dagger Engine's, vX.Y.Z with any pre-release,
// where its tag says so. It is empty for any other image, whose tag is somebody's own.
func ImageVersion(image string) string {
	if _, tag := splitImage(image); isEngineImage(image) {
		return versionOf(tag)
	}
	return ""
}

// version is that of an engine's container: the image's tag, else what the chart says of a digest.
func version(image string, labels map[string]string) string {
	_, tag := splitImage(image)
	if tag == "" && strings.Contains(image, "@") {
		tag = labels["app.kubernetes.io/version"]
	}
	if !strings.HasPrefix(tag, "v") && !isEngineImage(image) {
		return "" // Dagger's versions have the v; a tag without may be the version of anything.
	}
	return versionOf(tag)
}

// tagged is a tag that says which version an image has. Dagger publishes vX.Y.Z, vX.Y.Z-beta.N and, of builds between releases,
// vX.Y.Z-TIMESTAMP-COMMIT and vX.Y.Z-TIMESTAMP-dev-HASH, each also as a variant with -gpu, -wolfi or -wolfi-gpu behind it. Who
// builds an image of their own on one of these appends a word, too. A variant is of the version that it varies: it is no
// pre-release, though it looks like one. An underscore stands for the + of build metadata, which tags cannot have.
var tagged = regexp.MustCompile(`^v?(\d+\.\d+\.\d+` +
	`(?:-(?:(?:alpha|beta|rc)(?:\.?\d+)*|\d{6,}(?:-dev)?-[0-9a-f]+|dev-[0-9a-f]+))?)` +
	`(?:[-_][0-9A-Za-z._-]*)?$`)

// versionOf returns the version in a tag, empty for none: latest, main and commits name none.
func versionOf(tag string) string {
	found := tagged.FindStringSubmatch(tag)
	if found == nil || !semver.IsValid("v"+found[1]) {
		return ""
	}
	return "v" + found[1]
}

func withV(s string) string { return "v" + strings.TrimPrefix(s, "v") }

// base is a version without its pre-release and its build metadata.
func base(v string) string { return strings.TrimSuffix(semver.Canonical(v), semver.Prerelease(v)) }

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
	// The library also accepts v1 and v1.2, which are not versions of Dagger.
	if v := withV(s); semver.Canonical(v)+semver.Build(v) != v || !semver.IsValid(v) {
		return fmt.Errorf("%q is not a version: want vX.Y.Z", s)
	}
	return nil
}

// CompareVersions returns -1, 0 or 1 as a is older than b, as old, or newer. Build metadata does not count. A text that is not
// a version is older than any version.
func CompareVersions(a, b string) int { return semver.Compare(withV(a), withV(b)) }

// ImageVersion returns the version of the engine and of the CLI in an image of the Dagger Engine, vX.Y.Z with any pre-release,
// if its tag names one. It is empty for any other image, whose tags can mean anything.
func ImageVersion(image string) string {
	if _, tag := splitImage(image); IsEngineImage(image) {
		return versionOf(tag)
	}
	return ""
}

// version returns the version of an engine's container: from the image's tag, or from the chart's label if the image has only
// a digest.
func version(image string, labels map[string]string) string {
	_, tag := splitImage(image)
	if tag == "" && strings.Contains(image, "@") {
		tag = labels["app.kubernetes.io/version"]
	}
	if !strings.HasPrefix(tag, "v") && !IsEngineImage(image) {
		return "" // Dagger's tags begin with v; a tag without it may be the version of something else.
	}
	return versionOf(tag)
}

// tagged matches a tag that says which version an image has. Dagger publishes vX.Y.Z, vX.Y.Z-beta.N and, of builds between
// releases, vX.Y.Z-TIMESTAMP-COMMIT and vX.Y.Z-TIMESTAMP-dev-HASH, each also as a variant with -gpu, -wolfi or -wolfi-gpu
// behind it. Users who build their own image on one of these append a word, too. The suffix of a variant looks like a
// pre-release, but the variant has the version of the original. An underscore stands for the + of build metadata, which tags
// cannot have.
var tagged = regexp.MustCompile(`^v?(\d+\.\d+\.\d+` +
	`(?:-(?:(?:alpha|beta|rc)(?:\.?\d+)*|\d{6,}(?:-dev)?-[0-9a-f]+|dev-[0-9a-f]+))?)` +
	`(?:[-_][0-9A-Za-z._-]*)?$`)

// versionOf returns the version in a tag. It is empty for latest, main and commits.
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

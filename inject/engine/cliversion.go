package engine

import "regexp"

// cliVersion is a tag that names a version in the form that versions are compared in; no other tag says anything of a version.
var cliVersion = regexp.MustCompile(`^v(0|[1-9][0-9]{0,8})(\.(0|[1-9][0-9]{0,8})){2}(-[0-9A-Za-z.-]+)?$`)

// CLIVersion returns the version of the CLI in an image, vX.Y.Z, where its reference says so: the tag of an image of the Dagger
// Engine's. It is empty where a tag may be somebody's own.
func CLIVersion(image string) string {
	if _, tag := splitImage(image); isEngineImage(image) && cliVersion.MatchString(tag) {
		return tag
	}
	return ""
}

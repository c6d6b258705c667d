package main

import "github.com/dagger-inject/dagger-inject/inject"

// defaultKubeVersion is used if the user names no version: the newest one that this program is tested with.
const defaultKubeVersion = "1.36"

const kubeVersionHelp = "version of the API server, which the webhook asks it for: image volumes need 1.35"

func hasImageVolumes(kubeVersion string) (bool, error) {
	has, err := inject.HasImageVolumes(kubeVersion)
	if err != nil {
		return false, badInputf("--kube-version %q is not a version: want major.minor, as in 1.36", kubeVersion)
	}
	return has, nil
}

package main

import (
	"io/fs"
	"path"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// TestEveryModuleIsKeptUpToDate compares the modules of the repository with those that dependabot looks after.
func TestEveryModuleIsKeptUpToDate(t *testing.T) {
	var dependabot struct {
		Updates []struct {
			Ecosystem   string   `json:"package-ecosystem"`
			Directories []string `json:"directories"`
		} `json:"updates"`
	}
	require.NoError(t, yaml.Unmarshal(readRepository(t, ".github/dependabot.yml"), &dependabot))
	var modules []string
	require.NoError(t, filepath.WalkDir(repository, func(file string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "absent" {
			return filepath.SkipDir // declarations in place of modules: see test/rig/gitlab
		}
		if err == nil && d.Name() == "go.mod" {
			var relative string
			relative, err = filepath.Rel(repository, filepath.Dir(file))
			modules = append(modules, path.Join("/", filepath.ToSlash(relative)))
		}
		return err
	}))
	for _, update := range dependabot.Updates {
		if update.Ecosystem == "gomod" {
			require.ElementsMatch(t, modules, update.Directories, "the directories of gomod in .github/dependabot.yml are those with a go.mod")
			return
		}
	}
	require.Fail(t, ".github/dependabot.yml has no gomod")
}

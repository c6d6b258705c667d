//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

const cgroupRoot = "/sys/fs/cgroup"

// hierarchies returns the folders of the control groups' hierarchies: one with version 2, one a controller with version 1.
func hierarchies() ([]string, error) {
	if _, err := os.Stat(filepath.Join(cgroupRoot, "cgroup.controllers")); err == nil {
		return []string{cgroupRoot}, nil
	}
	entries, err := os.ReadDir(cgroupRoot)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, e := range entries {
		dir := filepath.Join(cgroupRoot, e.Name())
		// Not links such as "cpu", to "cpu,cpuacct", nor the empty folders of hierarchies that are not mounted.
		if _, err := os.Stat(filepath.Join(dir, "cgroup.procs")); err == nil && e.IsDir() {
			found = append(found, dir)
		}
	}
	return found, nil
}

// makeCgroups makes the control group that all pods' are below, which a kubelet expects to exist.
func (s *settings) makeCgroups() error {
	parents, err := hierarchies()
	if err != nil {
		return err
	}
	for _, parent := range parents {
		dir := filepath.Join(parent, s.cgroup())
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		// With version 1 a group of the cpuset controller takes no process before it has these.
		for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
			value, err := os.ReadFile(filepath.Join(parent, name))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(dir, name), bytes.TrimSpace(value), 0o644); err != nil {
				return fmt.Errorf("setting up the control group: %w", err)
			}
		}
	}
	return nil
}

// removeCgroups removes the control group and all below it, from the innermost out. No process is in them any more.
func (s *settings) removeCgroups() error {
	parents, err := hierarchies()
	if err != nil {
		return err
	}
	var problems []error
	for _, parent := range parents {
		var dirs []string
		err := filepath.WalkDir(filepath.Join(parent, s.cgroup()), func(path string, e fs.DirEntry, err error) error {
			if err == nil && e.IsDir() {
				dirs = append(dirs, path)
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			problems = append(problems, err)
		}
		for _, dir := range slices.Backward(dirs) {
			if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
				problems = append(problems, err)
			}
		}
	}
	return errors.Join(problems...)
}

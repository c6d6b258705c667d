// Package oci builds small container images from static files, without a daemon, a base image or a network, and writes them
// as archives that containerd, Docker, Podman and skopeo load. The same input gives the same bytes.
package oci

import (
	"bytes"
	"fmt"
	"io"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Config says what is in an image for one platform, and how it runs.
type Config struct {
	// Arch is a GOARCH; the operating system is always linux.
	Arch  string
	Files []File
	// Entrypoint and Cmd are as in a Dockerfile. Without an Entrypoint containerd cannot start a container that names no command.
	Entrypoint []string
	Cmd        []string
	// User is UID, UID:GID or a name; empty is root.
	User string
	// Env is a list of NAME=value.
	Env []string
	// Labels are in the image's configuration, Annotations in its manifest: registries show the latter.
	Labels      map[string]string
	Annotations map[string]string
	// Created is the time of the image and of every file in it. Take it from the commit, not from the clock.
	Created time.Time
}

// Image builds an image with one layer. It refuses an empty Arch and paths that are not absolute or listed twice.
func Image(c Config) (v1.Image, error) {
	if c.Arch == "" {
		return nil, fmt.Errorf("an image needs an architecture, as in amd64")
	}
	created := v1.Time{Time: c.Created.UTC()}
	content, err := writeTar(c.Files, created.Time)
	if err != nil {
		return nil, err
	}
	opener := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
	layer, err := tarball.LayerFromOpener(opener, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err = mutate.Append(image, mutate.Addendum{Layer: layer, History: v1.History{Created: created, CreatedBy: "files"}})
	if err != nil {
		return nil, err
	}
	file, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Created = "linux", c.Arch, created
	file.Config = v1.Config{Entrypoint: c.Entrypoint, Cmd: c.Cmd, User: c.User, Env: c.Env, Labels: c.Labels}
	if image, err = mutate.ConfigFile(image, file); err != nil {
		return nil, err
	}
	return mutate.Annotations(image, c.Annotations).(v1.Image), nil
}

// Index joins one image per platform, in that order, under one digest.
func Index(annotations map[string]string, images ...v1.Image) (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, image := range images {
		config, err := image.ConfigFile()
		if err != nil {
			return nil, err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        image,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: config.OS, Architecture: config.Architecture}},
		})
	}
	return mutate.Annotations(index, annotations).(v1.ImageIndex), nil
}

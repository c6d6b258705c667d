package oci_test

import (
	"archive/tar"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/build/image/archivetest"
	"github.com/dagger-inject/dagger-inject/build/image/oci"
)

var created = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func build(t *testing.T, files ...oci.File) v1.Image {
	t.Helper()
	image, err := oci.Image(oci.Config{Arch: "amd64", Files: files, Entrypoint: []string{"/tool"}, User: "1:2", Env: []string{"A=b"},
		Created: created})
	require.NoError(t, err)
	return image
}

func TestImageHasTheFiles(t *testing.T) {
	source := filepath.Join(t.TempDir(), "source")
	require.NoError(t, os.WriteFile(source, []byte("from a file"), 0o600))
	image := build(t,
		oci.Symlink("/usr/bin/sh", "busybox"),
		oci.Binary("/usr/bin/busybox", []byte("ELF")),
		oci.File{Path: "/etc/name", Source: source},
		oci.Dir("/tmp", 0o777|fs.ModeSticky),
	)
	content := mutate.Extract(image)
	defer func() { require.NoError(t, content.Close()) }()
	type entry struct {
		mode          int64
		link, content string
	}
	found := map[string]entry{}
	var order []string
	for r := tar.NewReader(content); ; {
		header, err := r.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		text, err := io.ReadAll(r)
		require.NoError(t, err)
		require.True(t, header.ModTime.Equal(created), "%s: %s", header.Name, header.ModTime)
		require.Zero(t, header.Uid+header.Gid, "root owns %s", header.Name)
		order = append(order, header.Name)
		found[strings.TrimSuffix(header.Name, "/")] = entry{header.Mode, header.Linkname, string(text)}
	}
	require.Equal(t, map[string]entry{
		"usr":             {mode: 0o755},
		"usr/bin":         {mode: 0o755},
		"usr/bin/sh":      {mode: 0o777, link: "busybox"},
		"usr/bin/busybox": {mode: 0o755, content: "ELF"},
		"etc":             {mode: 0o755},
		"etc/name":        {mode: 0o644, content: "from a file"},
		"tmp":             {mode: 0o1777},
	}, found)
	require.IsIncreasing(t, order, "a folder comes before what is in it")
}

func TestImageConfiguration(t *testing.T) {
	config, err := build(t, oci.Binary("/tool", []byte("ELF"))).ConfigFile()
	require.NoError(t, err)
	require.Equal(t, "linux/amd64", config.Platform().String())
	require.Equal(t, []string{"/tool"}, config.Config.Entrypoint)
	require.Equal(t, "1:2", config.Config.User)
	require.Equal(t, []string{"A=b"}, config.Config.Env)
	require.True(t, config.Created.Equal(created))
}

func TestImageDependsOnItsInputAlone(t *testing.T) {
	a, b := oci.Binary("/a", []byte("a")), oci.Binary("/b", []byte("b"))
	first, err := build(t, a, b).Digest()
	require.NoError(t, err)
	reordered, err := build(t, b, a).Digest()
	require.NoError(t, err)
	require.Equal(t, first, reordered)
	other, err := build(t, a).Digest()
	require.NoError(t, err)
	require.NotEqual(t, first, other)
}

func TestImageRefusesWhatCannotBe(t *testing.T) {
	for name, c := range map[string]struct {
		config oci.Config
		want   string
	}{
		"a relative path": {oci.Config{Arch: "amd64", Files: []oci.File{{Path: "tool"}}},
			`file "tool": its path must be absolute and clean, as in /usr/bin/tool`},
		"a path that climbs": {oci.Config{Arch: "amd64", Files: []oci.File{{Path: "/a/../b"}}},
			`file "/a/../b": its path must be absolute and clean, as in /usr/bin/tool`},
		"a path twice":    {oci.Config{Arch: "amd64", Files: []oci.File{{Path: "/a"}, {Path: "/a"}}}, "file /a: listed twice"},
		"no architecture": {oci.Config{}, "an image needs an architecture, as in amd64"},
		"a source that is gone": {oci.Config{Arch: "amd64", Files: []oci.File{{Path: "/a", Source: "/nowhere"}}},
			"file /a: open /nowhere: no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := oci.Image(c.config)
			require.EqualError(t, err, c.want)
		})
	}
}

func TestArchiveHoldsSeveralImagesByName(t *testing.T) {
	one, two := build(t, oci.Binary("/one", nil)), build(t, oci.Binary("/two", nil))
	index, err := oci.Index(map[string]string{"k": "v"}, two)
	require.NoError(t, err)
	files := [2]string{filepath.Join(t.TempDir(), "a.tar"), filepath.Join(t.TempDir(), "b.tar")}
	var written [2][]byte
	for i, file := range files {
		require.NoError(t, oci.WriteArchive(file, oci.Named{Name: "registry.example.com/ci/one:v1", Image: one},
			oci.Named{Name: "docker.io/library/two:v2", Image: index}))
		written[i], err = os.ReadFile(file)
		require.NoError(t, err)
	}
	require.Equal(t, written[0], written[1], "the archive itself is reproducible")

	dir := archivetest.Unpack(t, files[0])
	root, err := layout.ImageIndexFromPath(dir)
	require.NoError(t, err)
	require.NoError(t, validate.Index(root))
	manifest, err := root.IndexManifest()
	require.NoError(t, err)
	require.Len(t, manifest.Manifests, 2)
	names := map[string]string{}
	for _, m := range manifest.Manifests {
		names[m.Annotations["io.containerd.image.name"]] = m.Annotations["org.opencontainers.image.ref.name"]
	}
	require.Equal(t, map[string]string{"registry.example.com/ci/one:v1": "v1", "docker.io/library/two:v2": "v2"}, names)
}

func TestArchiveRefusesAnIncompleteName(t *testing.T) {
	image := build(t, oci.Binary("/tool", nil))
	for _, name := range []string{"tool", "tool:v1", "registry.example.com/tool", "registry.example.com/Tool:v1"} {
		require.Error(t, oci.CheckName(name))
		file := filepath.Join(t.TempDir(), "archive.tar")
		require.ErrorContains(t, oci.WriteArchive(file, oci.Named{Name: name, Image: image}), "want REGISTRY/REPOSITORY:TAG")
		require.NoFileExists(t, file)
	}
}

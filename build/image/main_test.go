package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"debug/elf"
	"encoding/hex"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/build/image/archivetest"
)

const repository = "../.."

// buildFrom runs the command on a folder of sources, and returns what it printed and where it wrote.
func buildFrom(t *testing.T, source string) (printed, dir string) {
	t.Helper()
	dir = t.TempDir()
	var out bytes.Buffer
	args := []string{"--source", source, "--output", dir, "--version", "v1.2.3", "--revision", "abc123", "--created", "1700000000"}
	require.NoError(t, run(t.Context(), args, &out, io.Discard))
	return out.String(), dir
}

// copySources copies what the image is built from, which .dockerignore lists, into another folder.
func copySources(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	list, err := os.ReadFile(filepath.Join(repository, ".dockerignore"))
	require.NoError(t, err)
	for line := range strings.Lines(string(list)) {
		name, isSource := strings.CutPrefix(strings.TrimSpace(line), "!")
		if !isSource {
			continue
		}
		from, to := filepath.Join(repository, name), filepath.Join(dir, name)
		if info, err := os.Stat(from); err == nil && info.IsDir() {
			require.NoError(t, os.CopyFS(to, os.DirFS(from)))
			continue
		}
		content, err := os.ReadFile(from)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(to, content, 0o644))
	}
	return dir
}

func TestImage(t *testing.T) {
	printed, dir := buildFrom(t, repository)
	again, elsewhere := buildFrom(t, copySources(t))

	t.Run("the same sources give the same bytes, wherever they lie", func(t *testing.T) {
		require.Equal(t, printed, again)
		written, err := fs.Glob(os.DirFS(dir), "*")
		require.NoError(t, err)
		require.Equal(t, []string{"dagger-inject-linux-amd64.spdx.json", "dagger-inject-linux-arm64.spdx.json", "dagger-inject.oci.tar"}, written)
		for _, name := range written {
			require.Equal(t, sum(t, filepath.Join(dir, name)), sum(t, filepath.Join(elsewhere, name)), name)
		}
	})

	root, err := layout.ImageIndexFromPath(archivetest.Unpack(t, filepath.Join(dir, "dagger-inject.oci.tar")))
	require.NoError(t, err)
	top, err := root.IndexManifest()
	require.NoError(t, err)
	require.Len(t, top.Manifests, 1)
	index, err := root.ImageIndex(top.Manifests[0].Digest)
	require.NoError(t, err)

	t.Run("the archive is a valid layout, named as printed", func(t *testing.T) {
		require.NoError(t, validate.Index(root))
		name := top.Manifests[0].Annotations["io.containerd.image.name"]
		require.Equal(t, "ghcr.io/dagger-inject/dagger-inject:v1.2.3", name)
		require.Equal(t, name+"@"+top.Manifests[0].Digest.String()+"\n", printed)
	})

	manifest, err := index.IndexManifest()
	require.NoError(t, err)
	require.Equal(t, "abc123", manifest.Annotations["org.opencontainers.image.revision"])
	var platforms []string
	for _, m := range manifest.Manifests {
		platforms = append(platforms, m.Platform.String())
		t.Run(m.Platform.String(), func(t *testing.T) {
			image, err := index.Image(m.Digest)
			require.NoError(t, err)
			requireProduct(t, image, m.Platform)
		})
	}
	require.Equal(t, []string{"linux/amd64", "linux/arm64"}, platforms)
}

// requireProduct holds one platform's image to what the chart and the release notes say of it.
func requireProduct(t *testing.T, image v1.Image, platform *v1.Platform) {
	t.Helper()
	config, err := image.ConfigFile()
	require.NoError(t, err)
	require.True(t, platform.Equals(*config.Platform()))
	require.Equal(t, "65532:65532", config.Config.User)
	require.Equal(t, []string{"/dagger-inject"}, config.Config.Entrypoint)
	require.Empty(t, config.Config.Cmd)
	require.Equal(t, "v1.2.3", config.Config.Labels["org.opencontainers.image.version"])
	require.Equal(t, "2023-11-14T22:13:20Z", config.Config.Labels["org.opencontainers.image.created"])

	files := filesOf(t, image)
	executable, err := elf.NewFile(bytes.NewReader(files["dagger-inject"]))
	require.NoError(t, err)
	require.Equal(t, map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[platform.Architecture], executable.Machine)
	interpreted := slices.ContainsFunc(executable.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
	require.False(t, interpreted, "an image without a loader needs a static executable")
	require.Contains(t, string(files["dagger-inject"]), "v1.2.3")
	require.True(t, x509.NewCertPool().AppendCertsFromPEM(files["etc/ssl/certs/ca-certificates.crt"]))

	document, err := spdxjson.Read(bytes.NewReader(files["usr/share/sbom/dagger-inject.spdx.json"]))
	require.NoError(t, err)
	digest := sha256.Sum256(files["dagger-inject"])
	require.Equal(t, hex.EncodeToString(digest[:]), document.Packages[0].PackageChecksums[0].Value)
	var locators []string
	for _, p := range document.Packages {
		locators = append(locators, p.PackageExternalReferences[0].Locator)
	}
	require.Equal(t, "pkg:golang/github.com/dagger-inject/dagger-inject@v1.2.3", locators[0])
	require.True(t, slices.ContainsFunc(locators, func(l string) bool { return strings.HasPrefix(l, "pkg:golang/k8s.io/client-go@v") }),
		locators)
	require.Len(t, document.Relationships, len(document.Packages))
}

func filesOf(t *testing.T, image v1.Image) map[string][]byte {
	t.Helper()
	content := mutate.Extract(image)
	defer func() { require.NoError(t, content.Close()) }()
	files := map[string][]byte{}
	for r := tar.NewReader(content); ; {
		header, err := r.Next()
		if err == io.EOF {
			return files
		}
		require.NoError(t, err)
		files[header.Name], err = io.ReadAll(r)
		require.NoError(t, err)
	}
}

func sum(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	digest := sha256.Sum256(content)
	return hex.EncodeToString(digest[:])
}

func TestBadFlags(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no time":     {[]string{"--created", ""}, `--created "" is no number of seconds`},
		"an argument": {[]string{"--created", "1", "out.tar"}, `takes no arguments, got "out.tar"`},
		"no source":   {[]string{"--created", "1", "--output", t.TempDir(), "--source", "/nowhere"}, "/nowhere"},
		"an architecture that is not built": {[]string{"--created", "1", "--arch", "amd64,riscv64"},
			`--arch "amd64,riscv64": want amd64, arm64, or amd64,arm64`},
		"an architecture twice":    {[]string{"--created", "1", "--arch", "amd64,amd64"}, "want amd64, arm64, or amd64,arm64"},
		"a version that is no tag": {[]string{"--created", "1", "--output", t.TempDir(), "--version", "a b"}, "want REGISTRY/REPOSITORY:TAG"},
	} {
		t.Run(name, func(t *testing.T) {
			require.ErrorContains(t, run(t.Context(), c.args, io.Discard, io.Discard), c.want)
		})
	}
}

// TestDockerfileAgrees holds what people build with docker to what is released.
func TestDockerfileAgrees(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(repository, "Dockerfile"))
	require.NoError(t, err)
	final := string(text)[strings.LastIndex(string(text), "\nFROM "):]
	require.Contains(t, final, "\nFROM scratch\n")
	require.Contains(t, final, "\nUSER "+nonRoot+"\n")
	require.Contains(t, final, "\nENTRYPOINT [\"/dagger-inject\"]\n")
	require.Contains(t, final, caFile)
	r := release{version: "v", revision: "r"}
	for key := range r.labels() {
		if key != "org.opencontainers.image.created" { // docker has no time that stays the same
			require.Contains(t, final, key+"=")
		}
	}
}

package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// TestAnArchiveIsWhatPeopleInstall builds that of this machine, unpacks it as a person would, and runs the plugin.
func TestAnArchiveIsWhatPeopleInstall(t *testing.T) {
	if testing.Short() {
		t.Skip("it links the program")
	}
	dir, platform := t.TempDir(), runtime.GOOS+"/"+runtime.GOARCH
	args := []string{"--source", "../..", "--output", dir, "--version", "v1.2.3", "--created", "1770000000", "--platforms", platform}
	require.NoError(t, run(t.Context(), args, io.Discard))
	text, err := os.ReadFile(filepath.Join(dir, "dagger.yaml"))
	require.NoError(t, err)
	var p plugin
	require.NoError(t, yaml.UnmarshalStrict(text, &p))
	require.Len(t, p.Spec.Platforms, 1)
	name := "dagger-inject_v1.2.3_" + runtime.GOOS + "_" + runtime.GOARCH + ".tar.gz"
	require.Equal(t, "https://github.com/dagger-inject/dagger-inject/releases/download/v1.2.3/"+name, p.Spec.Platforms[0].URI)
	data, err := os.ReadFile(filepath.Join(dir, name))
	require.NoError(t, err)
	sum := sha256.Sum256(data)
	require.Equal(t, hex.EncodeToString(sum[:]), p.Spec.Platforms[0].SHA256)
	sums, err := os.ReadFile(filepath.Join(dir, "checksums.txt"))
	require.NoError(t, err)
	require.Equal(t, p.Spec.Platforms[0].SHA256+"  "+name+"\n", string(sums))

	unpacked := t.TempDir()
	out, err := exec.Command("tar", "-xzf", filepath.Join(dir, name), "-C", unpacked).CombinedOutput()
	require.NoError(t, err, string(out))
	require.NoError(t, os.Symlink("dagger-inject", filepath.Join(unpacked, "kubectl-dagger")), "as krew does")
	out, err = exec.Command(filepath.Join(unpacked, "kubectl-dagger"), "version").CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "v1.2.3")
	require.FileExists(t, filepath.Join(unpacked, p.Spec.Platforms[0].Bin))
	require.FileExists(t, filepath.Join(unpacked, "LICENSE"))
}

// TestTheSameFilesGiveTheSameBytes has both kinds of archives.
func TestTheSameFilesGiveTheSameBytes(t *testing.T) {
	files := []file{{name: "dagger-inject", data: []byte("program"), executable: true}, {name: "LICENSE", data: []byte("text")}}
	at := time.Unix(1_770_000_000, 0).UTC()
	one, err := tarred(files, at)
	require.NoError(t, err)
	two, err := tarred(files, at)
	require.NoError(t, err)
	require.Equal(t, one, two)
	unzipped, err := gzip.NewReader(bytes.NewReader(one))
	require.NoError(t, err)
	r := tar.NewReader(unzipped)
	head, err := r.Next()
	require.NoError(t, err)
	require.EqualValues(t, 0o755, head.Mode)
	head, err = r.Next()
	require.NoError(t, err)
	require.Equal(t, byte(tar.TypeReg), head.Typeflag, "krew takes files and folders only")
	require.EqualValues(t, 0o644, head.Mode)

	windows, err := zipped(files[:1], at)
	require.NoError(t, err)
	z, err := zip.NewReader(bytes.NewReader(windows), int64(len(windows)))
	require.NoError(t, err)
	require.Equal(t, "dagger-inject", z.File[0].Name)
	require.True(t, at.Equal(z.File[0].Modified))
}

// TestKrewsRules holds the manifest to what krew's index asks (sigs.k8s.io/krew, pkg/index/validation).
func TestKrewsRules(t *testing.T) {
	r := release{version: "v1.2.3", url: "https://example.com"}
	text, err := r.krew([]archive{{system: "windows", arch: "amd64", name: "a.zip", sum: hex.EncodeToString(make([]byte, 32))}})
	require.NoError(t, err)
	var p plugin
	require.NoError(t, yaml.UnmarshalStrict(text, &p))
	require.Regexp(t, `^v\d+\.\d+\.\d+`, p.Spec.Version)
	require.LessOrEqual(t, len(p.Spec.ShortDescription), 50)
	require.NotContains(t, p.Spec.ShortDescription, "\n")
	require.Contains(t, p.Spec.Caveats, "/store/dagger/v1.2.3/kubectl_complete-dagger ")
	require.Len(t, p.Spec.Platforms[0].SHA256, 64)
	require.Equal(t, "dagger-inject.exe", p.Spec.Platforms[0].Bin)
	require.Equal(t, map[string]string{"os": "windows", "arch": "amd64"}, p.Spec.Platforms[0].Selector.MatchLabels)
}

func TestBadArguments(t *testing.T) {
	require.ErrorContains(t, run(t.Context(), []string{"--created", "yesterday"}, io.Discard), `--created "yesterday" is no number of seconds`)
	require.ErrorContains(t, run(t.Context(), []string{"--created", "1", "--output", t.TempDir(), "--platforms", "linux"}, io.Discard),
		`--platforms "linux": want OS/ARCH`)
}

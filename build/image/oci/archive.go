package oci

import (
	"archive/tar"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// AnnotationImageName is where containerd looks for the name to import an image under.
const AnnotationImageName = "io.containerd.image.name"

// AnnotationRefName is the OCI image layout's own; tools such as skopeo take the tag from it.
const AnnotationRefName = "org.opencontainers.image.ref.name"

// Named is an image, or an index of images, and the whole reference that it is imported under, as in
// registry.example.com/ci/tool:v1.
type Named struct {
	Name  string
	Image mutate.Appendable
}

// WriteArchive writes the images as one OCI image layout in a tar file, which `ctr images import FILE`, `docker load -i FILE`
// and `skopeo copy oci-archive:FILE:TAG ...` read. A name without a registry or a tag is an error.
func WriteArchive(file string, images ...Named) (err error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, image := range images {
		entry, err := image.entry()
		if err != nil {
			return err
		}
		index = mutate.AppendManifests(index, entry)
	}
	dir, err := os.MkdirTemp("", "oci-layout-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if _, err := layout.Write(dir, index); err != nil {
		return err
	}
	return archive(dir, file)
}

// CheckName says what is wrong with the reference of a Named, if anything is.
func CheckName(reference string) error {
	_, err := parseName(reference)
	return err
}

func parseName(reference string) (name.Tag, error) {
	tag, err := name.NewTag(reference, name.StrictValidation)
	if err != nil {
		return name.Tag{}, fmt.Errorf("image name: %w: want REGISTRY/REPOSITORY:TAG", err)
	}
	return tag, nil
}

func (n Named) entry() (mutate.IndexAddendum, error) {
	tag, err := parseName(n.Name)
	if err != nil {
		return mutate.IndexAddendum{}, err
	}
	descriptor := v1.Descriptor{Annotations: map[string]string{AnnotationImageName: n.Name, AnnotationRefName: tag.TagStr()}}
	if image, ok := n.Image.(v1.Image); ok {
		config, err := image.ConfigFile()
		if err != nil {
			return mutate.IndexAddendum{}, err
		}
		descriptor.Platform = &v1.Platform{OS: config.OS, Architecture: config.Architecture}
	}
	return mutate.IndexAddendum{Add: n.Image, Descriptor: descriptor}, nil
}

// archive writes the layout in dir as a tar file that depends on its content alone: in the order of names, without times.
func archive(dir, file string) (err error) {
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	w := tar.NewWriter(out)
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		return addFile(w, filepath.ToSlash(name), path)
	})
	if err != nil {
		return err
	}
	return w.Close()
}

func addFile(w *tar.Writer, name, path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(content))}); err != nil {
		return err
	}
	_, err = w.Write(content)
	return err
}

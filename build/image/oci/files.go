package oci

import (
	"archive/tar"
	"bytes"
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// File is one entry of an image's file system. Everything belongs to root, so that another user cannot change it when the
// image runs.
type File struct {
	// Path is absolute and clean, as in /usr/bin/tool. Folders above it are made with mode 0755 unless they are listed.
	Path string
	// Mode is the permissions, with fs.ModeDir for a folder and fs.ModeSticky where wanted. Zero means 0644 for a file, 0755
	// for a folder.
	Mode fs.FileMode
	// Data is the content of a file.
	Data []byte
	// Source is the file on this machine whose content is taken, in place of Data.
	Source string
	// Link makes it a symbolic link to this target.
	Link string
}

// Binary returns an executable at path with that content.
func Binary(path string, content []byte) File { return File{Path: path, Mode: 0o755, Data: content} }

// Dir returns a folder, as in Dir("/tmp", 0o777|fs.ModeSticky).
func Dir(path string, mode fs.FileMode) File { return File{Path: path, Mode: mode | fs.ModeDir} }

// Symlink returns a symbolic link at path.
func Symlink(path, target string) File { return File{Path: path, Link: target} }

// writeTar returns the files as a tar archive that depends on nothing else: sorted, all of one time, owned by root.
func writeTar(files []File, modified time.Time) ([]byte, error) {
	files, err := withParents(files)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range files {
		if err := f.write(w, modified); err != nil {
			return nil, fmt.Errorf("file %s: %w", f.Path, err)
		}
	}
	return out.Bytes(), w.Close()
}

// withParents adds the folders that are missing, and sorts: a folder comes before what is in it.
func withParents(files []File) ([]File, error) {
	files = slices.Clone(files)
	seen := map[string]bool{"/": true}
	for _, f := range files {
		if !path.IsAbs(f.Path) || path.Clean(f.Path) != f.Path || f.Path == "/" {
			return nil, fmt.Errorf("file %q: its path must be absolute and clean, as in /usr/bin/tool", f.Path)
		}
		if seen[f.Path] {
			return nil, fmt.Errorf("file %s: listed twice", f.Path)
		}
		seen[f.Path] = true
	}
	for i := 0; i < len(files); i++ { // the folders that are appended have parents too
		if parent := path.Dir(files[i].Path); !seen[parent] {
			seen[parent] = true
			files = append(files, Dir(parent, 0o755))
		}
	}
	slices.SortFunc(files, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	return files, nil
}

func (f File) write(w *tar.Writer, modified time.Time) error {
	header := &tar.Header{Name: strings.TrimPrefix(f.Path, "/"), ModTime: modified, Format: tar.FormatPAX}
	mode := f.Mode
	content := f.Data
	switch {
	case f.Link != "":
		header.Typeflag, header.Linkname, mode = tar.TypeSymlink, f.Link, 0o777
	case f.Mode.IsDir():
		header.Typeflag = tar.TypeDir
		header.Name += "/"
		if mode.Perm() == 0 {
			mode |= 0o755
		}
	default:
		header.Typeflag = tar.TypeReg
		if mode.Perm() == 0 {
			mode |= 0o644
		}
		if f.Source != "" {
			var err error
			if content, err = os.ReadFile(f.Source); err != nil {
				return err
			}
		}
		header.Size = int64(len(content))
	}
	header.Mode = int64(mode.Perm())
	if mode&fs.ModeSticky != 0 {
		header.Mode |= 0o1000
	}
	if err := w.WriteHeader(header); err != nil {
		return err
	}
	if header.Typeflag == tar.TypeReg {
		_, err := w.Write(content)
		return err
	}
	return nil
}

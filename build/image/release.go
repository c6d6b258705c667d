package main

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/crypto/x509roots/fallback/bundle"

	"github.com/dagger-inject/dagger-inject/build/image/oci"
	"github.com/dagger-inject/dagger-inject/build/image/sbom"
)

const (
	sourceURL = "https://github.com/dagger-inject/dagger-inject"
	license   = "Apache-2.0"
	// nonRoot is the uid and gid that distroless images call nonroot.
	nonRoot = "65532:65532"
	// caFile is the first place where Go looks for the system's roots.
	caFile = "/etc/ssl/certs/ca-certificates.crt"
)

// release is what one image is built from.
type release struct {
	source, version, revision string
	architectures             []string
	created                   time.Time
}

// image builds the image for one architecture, and the SPDX document of its executable, which is also in the image.
func (r *release) image(ctx context.Context, arch string) (v1.Image, []byte, error) {
	executable, err := oci.Compile(ctx, oci.Build{
		Dir:     r.source,
		Package: "./cmd/dagger-inject",
		Arch:    arch,
		LDFlags: fmt.Sprintf("-s -w -X main.version=%s -X main.revision=%s", r.version, r.revision),
	})
	if err != nil {
		return nil, nil, err
	}
	document, err := sbom.SPDX(sbom.Subject{
		Name: "dagger-inject", Version: r.version, License: license, Source: sourceURL, Created: r.created,
	}, executable)
	if err != nil {
		return nil, nil, err
	}
	image, err := oci.Image(oci.Config{
		Arch: arch,
		Files: []oci.File{
			oci.Binary("/dagger-inject", executable),
			{Path: caFile, Data: roots()},
			{Path: "/usr/share/sbom/dagger-inject.spdx.json", Data: document},
		},
		Entrypoint:  []string{"/dagger-inject"},
		User:        nonRoot,
		Labels:      r.labels(),
		Annotations: r.labels(),
		Created:     r.created,
	})
	return image, document, err
}

// labels describes the image, by the keys that the OCI image specification defines.
func (r *release) labels() map[string]string {
	labels := map[string]string{
		"org.opencontainers.image.title":       "dagger-inject",
		"org.opencontainers.image.description": "Mutating admission webhook that makes CI runner pods able to use a Dagger Engine",
		"org.opencontainers.image.version":     r.version,
		"org.opencontainers.image.source":      sourceURL,
		"org.opencontainers.image.licenses":    license,
		"org.opencontainers.image.created":     r.created.Format(time.RFC3339),
	}
	if r.revision != "" {
		labels["org.opencontainers.image.revision"] = r.revision
	}
	return labels
}

// roots returns Mozilla's certificate authorities in PEM: `dagger-inject wait` trusts them for an engine behind TLS whose
// policy names no CA. Those that Mozilla trusts in part only are left out, since a file cannot say so.
func roots() []byte {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate})
		}
	}
	return out.Bytes()
}

// Package sbom describes what a Go executable consists of: the modules that the linker recorded in it.
package sbom

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx"
	"github.com/spdx/tools-golang/spdx/v2/common"
)

// Subject is the executable that a document is about.
type Subject struct {
	// Name, Version, License (an SPDX expression) and Source (where its source can be found) describe the program.
	Name, Version, License, Source string
	// Created is the document's time: the commit's, so that the document is reproducible.
	Created time.Time
}

const unknown = "NOASSERTION"

// SPDX returns an SPDX 2.3 document in JSON about a Go executable: the program, the modules that are linked into it, and Go's
// standard library, each with a package URL that scanners look up. It refuses a file without Go's build information.
func SPDX(s Subject, executable []byte) ([]byte, error) {
	info, err := buildinfo.Read(bytes.NewReader(executable))
	if err != nil {
		return nil, fmt.Errorf("reading the build information of %s: %w", s.Name, err)
	}
	sum := sha256.Sum256(executable)
	digest := hex.EncodeToString(sum[:])
	program := &spdx.Package{
		PackageName:               s.Name,
		PackageSPDXIdentifier:     "Program",
		PackageVersion:            s.Version,
		PackageDownloadLocation:   s.Source,
		PackageLicenseConcluded:   s.License,
		PackageLicenseDeclared:    s.License,
		PackageCopyrightText:      unknown,
		PackageChecksums:          []common.Checksum{{Algorithm: common.SHA256, Value: digest}},
		PackageExternalReferences: []*spdx.PackageExternalReference{purl(info.Main.Path, s.Version)},
		PrimaryPackagePurpose:     "APPLICATION",
	}
	document := &spdx.Document{
		SPDXVersion:       spdx.Version,
		DataLicense:       spdx.DataLicense,
		SPDXIdentifier:    "DOCUMENT",
		DocumentName:      s.Name,
		DocumentNamespace: s.Source + "/spdx/" + digest, // unique to the executable, as SPDX wants it
		CreationInfo: &spdx.CreationInfo{
			Created:  s.Created.UTC().Format(time.RFC3339),
			Creators: []common.Creator{{CreatorType: "Tool", Creator: "dagger-inject-image"}},
		},
		Packages:      []*spdx.Package{program},
		Relationships: []*spdx.Relationship{relationship("DOCUMENT", "DESCRIBES", "Program")},
	}
	for i, module := range modules(info) {
		p := library(spdx.ElementID(fmt.Sprintf("Module-%d", i)), module)
		document.Packages = append(document.Packages, p)
		document.Relationships = append(document.Relationships, relationship("Program", "DEPENDS_ON", p.PackageSPDXIdentifier))
	}
	var out bytes.Buffer
	if err := spdxjson.Write(document, &out, spdxjson.Indent("  ")); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// modules returns what is linked in, replacements applied, and the standard library as a module of Go's version.
func modules(info *debug.BuildInfo) []*debug.Module {
	all := []*debug.Module{{Path: "stdlib", Version: strings.TrimPrefix(info.GoVersion, "go")}}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		all = append(all, m)
	}
	return all
}

func library(id spdx.ElementID, m *debug.Module) *spdx.Package {
	p := &spdx.Package{
		PackageName:               m.Path,
		PackageSPDXIdentifier:     id,
		PackageVersion:            m.Version,
		PackageDownloadLocation:   unknown,
		PackageLicenseConcluded:   unknown,
		PackageLicenseDeclared:    unknown,
		PackageCopyrightText:      unknown,
		PackageExternalReferences: []*spdx.PackageExternalReference{purl(m.Path, m.Version)},
		PrimaryPackagePurpose:     "LIBRARY",
	}
	if m.Sum != "" {
		p.PackageSourceInfo = "go.sum: " + m.Sum
	}
	return p
}

func purl(path, version string) *spdx.PackageExternalReference {
	// In a package URL the plus sign of a version such as v2.0.0+incompatible is escaped.
	locator := "pkg:golang/" + path + "@" + strings.ReplaceAll(version, "+", "%2B")
	return &spdx.PackageExternalReference{Category: common.CategoryPackageManager, RefType: common.TypePackageManagerPURL, Locator: locator}
}

func relationship(from spdx.ElementID, kind string, to spdx.ElementID) *spdx.Relationship {
	return &spdx.Relationship{
		RefA:         common.MakeDocElementID("", string(from)),
		RefB:         common.MakeDocElementID("", string(to)),
		Relationship: kind,
	}
}

// Package sbom says what is in an image, in CycloneDX's JSON.
package sbom

import (
	"bytes"
	"debug/buildinfo"
	"fmt"
	"net/url"
	"time"

	cyclonedx "github.com/CycloneDX/cyclonedx-go"

	"github.com/runnerd/runnerd/deploy/internal/debian"
)

// An Image is what is listed.
type Image struct {
	Name, Version string
	Platform      string // "linux/arm64"
	Created       time.Time
	Program       string // path of the Go program in it; "": there is none
	Release       debian.Release
	Packages      []debian.Package
}

// Encode lists the modules of the program, Go itself, and the packages.
func Encode(i Image) ([]byte, error) {
	parts, err := modules(i.Program)
	if err != nil {
		return nil, err
	}
	for _, p := range i.Packages {
		id := fmt.Sprintf("pkg:deb/debian/%s@%s?arch=%s&distro=debian-%s", url.PathEscape(p.Name), url.PathEscape(p.Version), p.Architecture, i.Release.ID)
		parts = append(parts, part(cyclonedx.ComponentTypeLibrary, p.Name, p.Version, id))
	}
	bom := cyclonedx.NewBOM()
	subject := part(cyclonedx.ComponentTypeContainer, i.Name, i.Version, "")
	subject.BOMRef = i.Name + "@" + i.Version
	subject.Properties = &[]cyclonedx.Property{{Name: "platform", Value: i.Platform}}
	bom.Metadata = &cyclonedx.Metadata{Timestamp: i.Created.UTC().Format(time.RFC3339), Component: &subject}
	bom.Components = &parts
	var out bytes.Buffer
	err = cyclonedx.NewBOMEncoder(&out, cyclonedx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, cyclonedx.SpecVersion1_6) // what scanners know
	return out.Bytes(), err
}

// modules are those of a Go program, and Go itself; of no program there are none.
func modules(program string) ([]cyclonedx.Component, error) {
	if program == "" {
		return nil, nil
	}
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", program, err)
	}
	parts := []cyclonedx.Component{part(cyclonedx.ComponentTypeLibrary, "stdlib", info.GoVersion, "pkg:golang/stdlib@"+info.GoVersion[len("go"):])}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		parts = append(parts, part(cyclonedx.ComponentTypeLibrary, m.Path, m.Version, "pkg:golang/"+m.Path+"@"+m.Version))
	}
	return parts, nil
}

func part(kind cyclonedx.ComponentType, name, version, purl string) cyclonedx.Component {
	return cyclonedx.Component{BOMRef: purl, Type: kind, Name: name, Version: version, PackageURL: purl}
}

package registry

import (
	"errors"
	"fmt"
	"strings"

	"github.com/distribution/reference"
	"github.com/google/go-containerregistry/pkg/name"
)

const (
	plainPort  = "80"
	securePort = "443"

	hub = "docker.io"
)

// An image is an image's name, taken apart as the kubelet does it.
type image struct {
	name       string // as the job has it
	host       string // of the registry, "docker.io" for Docker Hub
	path       string // of the repository at the registry
	tag        string // "latest" when there is neither tag nor digest
	pinned     string // the digest in the name; it beats the tag
	repository name.Repository
}

// split returns the registry's host, in lower case, and the rest of the name.
func split(text string) (host, path string, err error) {
	named, err := reference.ParseNormalizedNamed(text)
	if err != nil {
		return "", "", fmt.Errorf("%w; write [registry/]repository[:tag][@digest]", err)
	}
	host = reference.Domain(named)
	return lowerHost(host), strings.TrimPrefix(named.String(), host), nil
}

// lowerHost leaves alone a host of one word, which is taken for one only because
// of its upper-case letters: in lower case it would be a user of Docker Hub.
func lowerHost(host string) string {
	lower := strings.ToLower(host)
	if strings.ContainsAny(lower, ".:") || lower == "localhost" {
		return lower
	}
	return host
}

func newImage(text, host, rest string, insecure bool) (image, error) {
	// With its host in lower case, a name may be one of Docker Hub's.
	named, err := reference.ParseNormalizedNamed(host + rest)
	if err != nil {
		return image{}, fmt.Errorf("%w; write [registry/]repository[:tag][@digest]", err)
	}
	im := image{name: text, host: reference.Domain(named), path: reference.Path(named), tag: "latest"}
	if tagged, ok := named.(reference.Tagged); ok {
		im.tag = tagged.Tag()
	}
	if digested, ok := named.(reference.Digested); ok {
		im.pinned = digested.Digest().String()
	}
	var options []name.Option
	if insecure {
		options = append(options, name.Insecure)
	}
	// Not name.NewRepository: it takes another view of which first part is a
	// host, and sends localhost/image to Docker Hub.
	at, err := name.NewRegistry(im.host, options...)
	if err != nil {
		return image{}, errors.New("its registry is no host[:port]")
	}
	im.repository = at.Repo(im.path)
	return im, nil
}

// authority is the one form of a host[:port]: in lower case, without the port
// that it would have anyway.
func authority(host, port string) string {
	return strings.TrimSuffix(strings.ToLower(host), ":"+port)
}

package registry

import (
	"encoding/base64"
	"strings"

	"github.com/runnerd/runnerd/pkg/job"
)

// choose returns the credential for an image, nil when there is none: the one
// whose URL is the image's registry and, as with the kubelet, whose path (if it
// has one) leads to the repository. The longest path wins, then the first one.
func choose(credentials []job.Credential, im image, insecure bool) *job.Credential {
	port := securePort
	if insecure {
		port = plainPort
	}
	var best *job.Credential
	longest := -1
	for i := range credentials {
		host, path := place(credentials[i].URL)
		if authority(host, port) != authority(im.host, port) || !leads(path, im.path) || len(path) <= longest {
			continue
		}
		best, longest = &credentials[i], len(path)
	}
	return best
}

// place takes a credential's URL apart: "https://index.docker.io/v1/" is how
// Docker Hub is called there for historical reasons.
func place(url string) (host, path string) {
	url = strings.TrimPrefix(strings.TrimPrefix(url, "https://"), "http://")
	host, path, _ = strings.Cut(url, "/")
	host, path = strings.ToLower(host), strings.Trim(path, "/")
	switch host {
	case "index.docker.io", "registry-1.docker.io":
		host = hub
	}
	for _, version := range []string{"v1", "v2"} {
		if path == version {
			path = ""
		}
		path = strings.TrimPrefix(path, version+"/")
	}
	return host, path
}

// leads reports whether the repository is path, or below it.
func leads(path, repository string) bool {
	return path == "" || repository == path || strings.HasPrefix(repository, path+"/")
}

// basic is how a credential looks in the header of a request.
func basic(c *job.Credential) string {
	return base64.StdEncoding.EncodeToString([]byte(c.Username + ":" + c.Password.Reveal()))
}

package registry

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNamesAreReadAsTheKubeletDoes(t *testing.T) {
	const digest = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	type parts struct{ host, path, tag, pinned, url string }
	tests := map[string]parts{
		"alpine":                             {"docker.io", "library/alpine", "latest", "", "index.docker.io/library/alpine"},
		"alpine:3.22":                        {"docker.io", "library/alpine", "3.22", "", "index.docker.io/library/alpine"},
		"index.docker.io/alpine":             {"docker.io", "library/alpine", "latest", "", "index.docker.io/library/alpine"},
		"Docker.io/alpine":                   {"docker.io", "library/alpine", "latest", "", "index.docker.io/library/alpine"},
		"group/app":                          {"docker.io", "group/app", "latest", "", "index.docker.io/group/app"},
		"localhost/app":                      {"localhost", "app", "latest", "", "localhost/app"},
		"Host/app":                           {"Host", "app", "latest", "", "Host/app"},
		"registry.example.com/a/b/c:1":       {"registry.example.com", "a/b/c", "1", "", "registry.example.com/a/b/c"},
		"REGISTRY.example.com:5000/a":        {"registry.example.com:5000", "a", "latest", "", "registry.example.com:5000/a"},
		"[fd00::1]:5000/a:1":                 {"[fd00::1]:5000", "a", "1", "", "[fd00::1]:5000/a"},
		"alpine@" + digest:                   {"docker.io", "library/alpine", "latest", digest, "index.docker.io/library/alpine"},
		"registry.example.com/a:1@" + digest: {"registry.example.com", "a", "1", digest, "registry.example.com/a"},
		"registry.example.com:443/a:1":       {"registry.example.com:443", "a", "1", "", "registry.example.com:443/a"},
		"10.1.2.3/app":                       {"10.1.2.3", "app", "latest", "", "10.1.2.3/app"},
	}
	for text, want := range tests {
		s, err := New(Options{}).open("resolve", text, nil)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		im := s.image
		if got := (parts{im.host, im.path, im.tag, im.pinned, im.repository.Name()}); got != want {
			t.Errorf("%q: %s", text, cmp.Diff(want, got, cmp.AllowUnexported(parts{})))
		}
	}
}

func TestNamesThatMakeNoSense(t *testing.T) {
	c := New(Options{})
	for _, text := range []string{
		"", " ", "Alpine", "alpine:", "alpine@sha256:12", "https://registry.example.com/app", "a//b", "registry.example.com/",
		"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "registry.example.com:port/app", "app\n",
	} {
		_, err := c.Resolve(t.Context(), text, nil)
		wantError(t, err, BadName, "resolve image")
		_, err = c.Verify(t.Context(), text, "", nil, nil)
		wantError(t, err, BadName, "verify image")
	}
}

package registry

import (
	"testing"

	"github.com/runnerd/runnerd/pkg/job"
)

func TestACredentialIsForItsRegistryOnly(t *testing.T) {
	list := func(urls ...string) []job.Credential {
		var out []job.Credential
		for _, url := range urls {
			out = append(out, job.Credential{URL: url, Username: "u", Password: "p"})
		}
		return out
	}
	tests := map[string]struct {
		image       string
		credentials []job.Credential
		want        string // the URL; "" is none
	}{
		"the registry's host":                     {"registry.example.com/a", list("other.example.com", "registry.example.com"), "registry.example.com"},
		"a URL":                                   {"registry.example.com/a", list("https://registry.example.com/"), "https://registry.example.com/"},
		"Docker Hub's own URL":                    {"alpine", list("https://index.docker.io/v1/"), "https://index.docker.io/v1/"},
		"Docker Hub by its name":                  {"alpine", list("docker.io"), "docker.io"},
		"Docker Hub by its server":                {"index.docker.io/group/app", list("registry-1.docker.io"), "registry-1.docker.io"},
		"another case":                            {"Registry.example.com/a", list("registry.EXAMPLE.com"), "registry.EXAMPLE.com"},
		"the port that it has anyway":             {"gitlab.example.com/a", list("gitlab.example.com:443"), "gitlab.example.com:443"},
		"the image says the port":                 {"gitlab.example.com:443/a", list("https://gitlab.example.com"), "https://gitlab.example.com"},
		"no other port":                           {"registry.example.com:5000/a", list("registry.example.com"), ""},
		"port 80 is another one than 443":         {"registry.example.com/a", list("registry.example.com:80"), ""},
		"no subdomain":                            {"a.registry.example.com/a", list("registry.example.com"), ""},
		"no longer name":                          {"registry.example.com/a", list("registry.example.com.evil.org"), ""},
		"a user in the URL is no host":            {"registry.example.com/a", list("https://registry.example.com@evil.org"), ""},
		"nothing of Docker Hub for a local image": {"localhost/app", list("docker.io"), ""},
		"the path of a group":                     {"registry.example.com/group/a", list("registry.example.com/group"), "registry.example.com/group"},
		"another group's path":                    {"registry.example.com/groups/a", list("registry.example.com/group"), ""},
		"the longest path":                        {"registry.example.com/g/a", list("registry.example.com", "registry.example.com/g", "registry.example.com/g"), "registry.example.com/g"},
		"none":                                    {"registry.example.com/a", nil, ""},
		"an empty URL is no registry's":           {"registry.example.com/a", list("", "https://"), ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, err := New(Options{}).open("resolve", test.image, test.credentials)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if s.login != nil {
				got = s.login.URL
			}
			if got != test.want {
				t.Errorf("credential %q, want %q", got, test.want)
			}
		})
	}
}

func TestTheFirstOfEqualCredentialsIsUsed(t *testing.T) {
	s, err := New(Options{}).open("resolve", "registry.example.com/a", []job.Credential{
		{URL: "registry.example.com", Username: "first"}, {URL: "registry.example.com", Username: "second"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if s.login.Username != "first" {
		t.Errorf("credential of %q, want first", s.login.Username)
	}
}

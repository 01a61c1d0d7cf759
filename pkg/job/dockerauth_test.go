package job

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDockerAuthConfig(t *testing.T) {
	payload := []Credential{
		{URL: "registry.example.com", Username: "gitlab-ci-token", Password: "job"},
		{URL: "https://index.docker.io/v1/", Username: "hub", Password: "job"},
	}
	tests := []struct {
		name, value string
		want        []string // user:password@url, in order
		warns       string
		fails       string
	}{
		{name: "none", want: []string{"gitlab-ci-token:job@registry.example.com", "hub:job@https://index.docker.io/v1/"}},
		{
			name: "beats the payload's", value: `{"auths":{"https://registry.example.com/v2/":{"auth":"dTpwOnc="}}}`, // u:p:w
			want: []string{"u:p:w@https://registry.example.com/v2/", "hub:job@https://index.docker.io/v1/"},
		},
		{
			name: "a name and a password", value: `{"auths":{"docker.io":{"username":"me","password":"pw"},"a.example/group":{"username":"g","password":"x"}}}`,
			want: []string{"g:x@a.example/group", "me:pw@docker.io", "gitlab-ci-token:job@registry.example.com"},
		},
		{
			name: "a store", value: `{"auths":{"b.example":{}},"credsStore":"desktop"}`,
			want:  []string{"gitlab-ci-token:job@registry.example.com", "hub:job@https://index.docker.io/v1/"},
			warns: `credsStore "desktop" is not supported`,
		},
		{
			name: "a helper", value: `{"credHelpers":{"123.dkr.ecr.example":"ecr-login"}}`,
			want:  []string{"gitlab-ci-token:job@registry.example.com", "hub:job@https://index.docker.io/v1/"},
			warns: `"ecr-login" for "123.dkr.ecr.example" is not supported`,
		},
		{
			name: "a token", value: `{"auths":{"b.example":{"identitytoken":"x"}}}`,
			want:  []string{"gitlab-ci-token:job@registry.example.com", "hub:job@https://index.docker.io/v1/"},
			warns: `the entry of "b.example" was ignored`,
		},
		{
			name: "nothing in it", value: `{}`,
			want:  []string{"gitlab-ci-token:job@registry.example.com", "hub:job@https://index.docker.io/v1/"},
			warns: "has no auths",
		},
		{name: "no JSON", value: `{"auths":`, fails: "is not JSON in the form of ~/.docker/config.json"},
		{name: "another form", value: `{"auths":["a"]}`, fails: "is not JSON in the form of"},
		{name: "no base64", value: `{"auths":{"a.example":{"auth":"hunter22!"}}}`, fails: `auth of "a.example" is not the base64 of user:password`},
		{name: "no pair", value: `{"auths":{"a.example":{"auth":"dQ=="}}}`, fails: `auth of "a.example" is not the base64`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			j := example()
			j.Credentials = payload
			// The runner's is not looked at when the job has one.
			o := options()
			if tt.value != "" {
				o.Environment = []Variable{{Key: "DOCKER_AUTH_CONFIG", Value: `{"auths":{"runner.example":{"auth":"dTpw"}}}`}}
				j.Variables = append(j.Variables, Variable{Key: "DOCKER_AUTH_CONFIG", Value: tt.value, Raw: true, File: true})
			}
			p, err := Compile(j, o)
			if tt.fails != "" {
				var failure *Failure
				if !errors.As(err, &failure) || failure.Reason != RunnerConfigurationError || !strings.Contains(failure.Message, tt.fails) {
					t.Fatalf("Compile: %v, want a configuration error with %q", err, tt.fails)
				}
				if strings.Contains(err.Error(), "hunter22") {
					t.Errorf("the error shows the credential: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range p.Credentials {
				got = append(got, fmt.Sprintf("%s:%s@%s", c.Username, c.Password.Reveal(), c.URL))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("credentials (-want +got):\n%s", diff)
			}
			if warnings := strings.Join(p.Warnings, "\n"); !strings.Contains(warnings, tt.warns) || (tt.warns == "") != (warnings == "") {
				t.Errorf("warnings %q, want one with %q", warnings, tt.warns)
			}
		})
	}
}

// TestDockerAuthConfigRunner: the runner's serves jobs that have none, and its
// password is masked as if GitLab had sent it.
func TestDockerAuthConfigRunner(t *testing.T) {
	o := options()
	o.Environment = []Variable{{Key: "DOCKER_AUTH_CONFIG", Value: `{"auths":{"runner.example":{"auth":"dTpodW50ZXIyMjIy"}}}`}}
	p, err := Compile(example(), o)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Credentials) != 1 || p.Credentials[0].Username != "u" || p.Credentials[0].Variable != "DOCKER_AUTH_CONFIG" {
		t.Errorf("credentials %+v", p.Credentials)
	}
	for _, phrase := range []string{"hunter2222", "dTpodW50ZXIyMjIy"} {
		found := false
		for _, m := range p.Log.Masks {
			found = found || m == phrase
		}
		if !found {
			t.Errorf("%q is not masked", phrase)
		}
	}
}

package job

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// dockerAuthConfig is the variable with pull credentials in the form of Docker's
// config.json. The job's own one stands in for the runner's, as with every
// variable.
const dockerAuthConfig = "DOCKER_AUTH_CONFIG"

// dockerConfig is what runnerd reads of a config.json.
type dockerConfig struct {
	Auths       map[string]dockerLogin `json:"auths"`
	CredHelpers map[string]string      `json:"credHelpers"`
	CredsStore  string                 `json:"credsStore"`
}

type dockerLogin struct {
	Auth          string `json:"auth"` // base64 of "user:password"
	Username      string `json:"username"`
	Password      string `json:"password"`
	IdentityToken string `json:"identitytoken"`
	RegistryToken string `json:"registrytoken"`
}

// pullCredentials are a job's credentials for registries: those of
// DOCKER_AUTH_CONFIG, and those of the payload for registries that it has none
// for. Warnings are for the job's log, before there is a pod.
//
// A text that is no config.json fails the job. Without it the pull would be made
// with other credentials than those that the job's author wants, or with none,
// and its failure would not say why.
func pullCredentials(vars []Variable, payload []Credential) (list []Credential, warnings []string, err error) {
	text := strings.TrimSpace(Value(vars, dockerAuthConfig))
	if text == "" {
		return payload, nil, nil
	}
	var config dockerConfig
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		return nil, nil, Failf(RunnerConfigurationError,
			`%s is not JSON in the form of ~/.docker/config.json: %v; it looks like {"auths": {"registry.example.com": {"auth": "<base64 of user:password>"}}}`,
			dockerAuthConfig, err)
	}
	warnings = unsupportedHelpers(config)
	have := map[string]bool{}
	for _, registry := range slices.Sorted(maps.Keys(config.Auths)) {
		login := config.Auths[registry]
		c, err := login.credential(registry)
		if err != nil {
			return nil, nil, err
		}
		if c.Username == "" && c.Password == "" {
			// Docker leaves an empty entry for what it keeps in a store.
			if login.IdentityToken != "" || login.RegistryToken != "" || config.CredsStore == "" {
				warnings = append(warnings, fmt.Sprintf("%s: the entry of %q was ignored: it has neither auth nor username and password, which is all that Kubernetes pulls with",
					dockerAuthConfig, registry))
			}
			continue
		}
		have[registryPlace(registry)] = true
		list = append(list, c)
	}
	if len(list) == 0 && len(warnings) == 0 {
		warnings = append(warnings, dockerAuthConfig+" has no auths: it adds no credentials")
	}
	for _, c := range payload {
		if !have[registryPlace(c.URL)] {
			list = append(list, c)
		}
	}
	return list, warnings, nil
}

func unsupportedHelpers(config dockerConfig) []string {
	var warnings []string
	if config.CredsStore != "" {
		warnings = append(warnings, fmt.Sprintf("%s: credsStore %q is not supported: its program is not on the nodes; give the credentials as auths",
			dockerAuthConfig, config.CredsStore))
	}
	for _, registry := range slices.Sorted(maps.Keys(config.CredHelpers)) {
		warnings = append(warnings, fmt.Sprintf("%s: credHelpers: %q for %q is not supported: its program is not on the nodes; give the credentials as auths",
			dockerAuthConfig, config.CredHelpers[registry], registry))
	}
	return warnings
}

// credential reads an entry as Docker does: auth beats username and password.
func (l dockerLogin) credential(registry string) (Credential, error) {
	c := Credential{URL: registry, Username: l.Username, Password: Secret(l.Password), Variable: dockerAuthConfig}
	if l.Auth == "" {
		return c, nil
	}
	pair, err := base64.StdEncoding.DecodeString(l.Auth)
	user, password, ok := strings.Cut(string(pair), ":")
	if err != nil || !ok || user == "" {
		return c, Failf(RunnerConfigurationError, "%s: auth of %q is not the base64 of user:password", dockerAuthConfig, registry)
	}
	c.Username, c.Password = user, Secret(strings.Trim(password, "\x00"))
	return c, nil
}

// registryPlace makes the spellings of one registry one: with and without a
// scheme, the API's version, and Docker Hub's old names.
func registryPlace(url string) string {
	place := strings.TrimPrefix(strings.TrimPrefix(strings.ToLower(url), "https://"), "http://")
	host, path, _ := strings.Cut(place, "/")
	path = strings.Trim(path, "/")
	if path == "v1" || path == "v2" {
		path = ""
	}
	switch host {
	case "index.docker.io", "registry-1.docker.io":
		host = "docker.io"
	}
	return strings.TrimSuffix(host+"/"+path, "/")
}

// minMaskedLogin keeps a password that could be any word from hiding half a log.
const minMaskedLogin = 8

// loginMasks are the passwords that the log must not show. Those of the payload
// are GitLab's own and masked whatever they look like.
func loginMasks(list []Credential) []Secret {
	var secrets []Secret
	for _, c := range list {
		if c.Variable == "" || len(c.Password) < minMaskedLogin {
			continue
		}
		pair := base64.StdEncoding.EncodeToString([]byte(c.Username + ":" + c.Password.Reveal()))
		secrets = append(secrets, c.Password, Secret(pair))
	}
	return secrets
}

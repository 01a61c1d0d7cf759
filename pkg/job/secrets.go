package job

import (
	"net/url"
	"slices"
	"strings"
)

// A SecretRequest is one entry of `secrets`: a variable whose value lies with a
// provider of secrets.
type SecretRequest struct {
	Name     string
	File     bool
	Provider string // as GitLab names it; "" when the entry names none
	Invalid  string // why the entry cannot be read; "" if it can
	Vault    VaultSecret
}

// ProviderVault is HashiCorp Vault, the provider that runnerd knows.
const ProviderVault = "vault"

// A VaultSecret says where in a Vault a secret lies, and how to get in.
type VaultSecret struct {
	URL        string
	Namespace  string
	AuthName   string
	AuthPath   string         // where the auth method is mounted
	AuthData   map[string]any // what is sent to it: role, jwt
	EngineName string         // one of the Engine… constants
	EnginePath string         // where the secrets engine is mounted
	Path       string
	Field      string
}

// The secrets engines.
const (
	EngineKV1     = "kv-v1"
	EngineKV2     = "kv-v2"
	EngineGeneric = "generic"
)

// WithSecrets returns plan, which Compile has made of j and o, with secrets as
// further variables. They are seen by the scripts, by the values of other
// variables and by those of services.
//
// What has been judged stays as it was: images, the pod and its environment,
// the sources. Cache keys stay too: a secret in one would be an object's name.
func WithSecrets(plan *Plan, j *Job, o Options, secrets []Variable) (*Plan, error) {
	o.secrets = secrets
	fresh, err := Compile(j, o)
	if err != nil {
		return nil, err
	}
	out := *plan
	out.Log.Masks = fresh.Log.Masks
	out.Helper.Log.Masks = fresh.Log.Masks
	out.Helper.Variables = fresh.Helper.Variables
	out.Build.Variables = fresh.Build.Variables
	out.Build.Steps = fresh.Build.Steps
	out.Services = slices.Clone(plan.Services)
	for i := range out.Services {
		out.Services[i].Variables = fresh.Services[i].Variables
	}
	return &out, nil
}

// unsupportedSecret refuses entries that nobody here can resolve.
func unsupportedSecret(j *Job) error {
	for _, s := range j.Secrets {
		switch {
		case s.Invalid != "":
			return Failf(RunnerConfigurationError, "secret %q cannot be read: %s; correct secrets: in the job", s.Name, s.Invalid)
		case s.Provider == "":
			return Failf(RunnerConfigurationError, "secret %q names no provider: add vault: to it", s.Name)
		case s.Provider != ProviderVault:
			return Failf(RunnerConfigurationError, "secret %q: the provider %s is not supported by this runner; use vault", s.Name, s.Provider)
		}
	}
	return nil
}

// secretRequests expands the entries, and refuses those that lead nowhere.
func secretRequests(j *Job, vars []Variable, tempDir string) ([]SecretRequest, error) {
	var list []SecretRequest
	for _, s := range j.Secrets {
		v := &s.Vault
		for _, text := range []*string{&v.URL, &v.Namespace, &v.AuthName, &v.AuthPath, &v.EngineName, &v.EnginePath, &v.Path, &v.Field} {
			*text = strings.TrimSpace(Expand(*text, vars, tempDir))
		}
		data, _ := expandData(v.AuthData, vars, tempDir).(map[string]any)
		v.AuthData = data
		v.URL = strings.TrimRight(v.URL, "/")
		if problem := v.problem(); problem != "" {
			return nil, Failf(RunnerConfigurationError, "secret %q: %s", s.Name, problem)
		}
		list = append(list, s)
	}
	return list, nil
}

// expandData expands the strings in a piece of JSON.
func expandData(value any, vars []Variable, tempDir string) any {
	switch value := value.(type) {
	case string:
		return Expand(value, vars, tempDir)
	case map[string]any:
		out := make(map[string]any, len(value))
		for key, v := range value {
			out[key] = expandData(v, vars, tempDir)
		}
		return out
	case []any:
		out := make([]any, len(value))
		for i, v := range value {
			out[i] = expandData(v, vars, tempDir)
		}
		return out
	}
	return value
}

func (v *VaultSecret) problem() string {
	u, err := url.Parse(v.URL)
	switch {
	case v.URL == "":
		return "no server: set the variable VAULT_SERVER_URL"
	case err != nil, u.Scheme != "https" && u.Scheme != "http", u.Host == "", u.User != nil, u.RawQuery != "", u.Fragment != "":
		return "the server's address is no plain http(s) URL: correct the variable VAULT_SERVER_URL"
	case v.AuthPath == "":
		return "no path of an auth method: set the variable VAULT_AUTH_PATH"
	case v.EnginePath == "":
		return "no path of a secrets engine: write vault: with engine: path:"
	case v.Path == "" || v.Field == "":
		return "no path or no field: write vault: <path>/<field>"
	case !slices.Contains([]string{EngineKV1, EngineKV2, EngineGeneric}, v.EngineName):
		return "the secrets engine " + v.EngineName + " is not supported: use kv-v2, kv-v1 or generic"
	}
	for _, p := range []string{v.AuthPath, v.EnginePath, v.Path} {
		for part := range strings.SplitSeq(strings.Trim(p, "/"), "/") {
			if part == "" || part == "." || part == ".." {
				return "the path " + p + " has empty or dotted parts: write it from the top"
			}
		}
	}
	return ""
}

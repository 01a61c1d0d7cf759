package gitlab

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/runnerd/runnerd/pkg/job"
)

type payloadVault struct {
	Server struct {
		URL       text `json:"url"`
		Namespace text `json:"namespace"`
		Auth      struct {
			Name text           `json:"name"`
			Path text           `json:"path"`
			Data map[string]any `json:"data"`
		} `json:"auth"`
	} `json:"server"`
	Engine struct {
		Name text `json:"name"`
		Path text `json:"path"`
	} `json:"engine"`
	Path  text `json:"path"`
	Field text `json:"field"`
}

// secrets reads the entries, by name. One that cannot be read fails its job,
// with a message of its own, and not the payload.
func secrets(entries map[string]json.RawMessage) []job.SecretRequest {
	var list []job.SecretRequest
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		list = append(list, secretEntry(name, entries[name]))
	}
	return list
}

func secretEntry(name string, raw json.RawMessage) job.SecretRequest {
	s := job.SecretRequest{Name: name, File: true}
	var parts map[string]json.RawMessage
	if json.Unmarshal(raw, &parts) != nil {
		s.Invalid = "it is no object"
		return s
	}
	var file *bool
	if text, ok := parts["file"]; ok && json.Unmarshal(text, &file) != nil {
		s.Invalid = "file is neither true nor false"
		return s
	}
	if file != nil {
		s.File = *file
	}
	// Only providers are objects: a field of a later GitLab that is none does
	// not make an entry unreadable.
	var providers []string
	for _, key := range slices.Sorted(maps.Keys(parts)) {
		if bytes.HasPrefix(bytes.TrimSpace(parts[key]), []byte("{")) {
			providers = append(providers, key)
		}
	}
	s.Provider = strings.Join(providers, " and ")
	if v, ok := parts[job.ProviderVault]; ok && len(providers) == 0 && !bytes.Equal(v, []byte("null")) {
		s.Invalid = "vault is no object"
		return s
	}
	if s.Provider != job.ProviderVault {
		return s
	}
	var v payloadVault
	if err := json.Unmarshal(parts[job.ProviderVault], &v); err != nil {
		s.Invalid = "vault: " + err.Error()
		return s
	}
	s.Vault = job.VaultSecret{
		URL: string(v.Server.URL), Namespace: string(v.Server.Namespace),
		AuthName: string(v.Server.Auth.Name), AuthPath: string(v.Server.Auth.Path), AuthData: v.Server.Auth.Data,
		EngineName: string(v.Engine.Name), EnginePath: string(v.Engine.Path),
		Path: string(v.Path), Field: string(v.Field),
	}
	return s
}

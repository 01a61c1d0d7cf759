package config

import (
	"net/url"
	"path"
	"strings"
)

// Secrets says how the secrets of jobs are fetched. GitLab Runner has no such
// table.
type Secrets struct {
	VaultServers []string `toml:"vault_servers"` // globs of https://host[:port] that jobs may name; none means any
	CAFile       string   `toml:"ca_file"`       // PEM; trusted in addition to the system's authorities
}

func (s *Secrets) validate(r *report, at string) {
	for i, server := range s.VaultServers {
		u, err := url.Parse(strings.ReplaceAll(server, "*", "x"))
		_, bad := path.Match(server, "")
		if err != nil || bad != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
			r.problem(elementPath(at+".vault_servers", i), "%q; write https://host[:port], such as \"https://vault.example.com\" or \"https://*.example.com\"", redacted(server))
		}
	}
}

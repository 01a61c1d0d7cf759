package main

import (
	"fmt"
	"os"

	"github.com/runnerd/runnerd/pkg/config"
	"github.com/runnerd/runnerd/pkg/secret"
)

// secretsOf makes what fetches the secrets of r's jobs.
func secretsOf(r config.Runner, build buildInfo) (*secret.Resolver, error) {
	o := secret.Options{Servers: r.Secrets.VaultServers, UserAgent: product + "/" + build.Version}
	if file := r.Secrets.CAFile; file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("[runners.secrets] ca_file: %w", err)
		}
		o.CA = text
	}
	resolver, err := secret.New(o)
	if err != nil {
		return nil, fmt.Errorf("[runners.secrets] ca_file %q: %w", r.Secrets.CAFile, err)
	}
	return resolver, nil
}

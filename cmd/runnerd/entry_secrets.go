package main

import (
	"fmt"

	"github.com/runnerd/runnerd/pkg/cacert"
	"github.com/runnerd/runnerd/pkg/config"
	"github.com/runnerd/runnerd/pkg/secret"
)

// secretsOf makes what fetches the secrets of r's jobs.
func secretsOf(r config.Runner, build buildInfo) (*secret.Resolver, error) {
	roots, err := cacert.FilePool(r.Secrets.CAFile)
	if err != nil {
		return nil, fmt.Errorf("[runners.secrets] ca_file: %w", err)
	}
	return secret.New(secret.Options{Servers: r.Secrets.VaultServers, Roots: roots, UserAgent: product + "/" + build.Version}), nil
}

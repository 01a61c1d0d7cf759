package main

import (
	"math"
	"os"
	"path/filepath"

	"github.com/runnerd/runnerd/pkg/config"
	"github.com/runnerd/runnerd/pkg/gitlab"
)

// newClient returns a client that is the same runner manager, with the same
// features, as the daemon with that config file will be: GitLab keeps what it
// hears first for the better part of an hour.
func newClient(path string, r config.Runner) (*gitlab.Client, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	systemID, err := loadSystemID(path)
	if err != nil {
		return nil, err
	}
	return gitlab.New(clientConfig(r, path, systemID, currentBuild()))
}

func (d *daemon) clientConfig(s entrySetup) gitlab.Config {
	c := clientConfig(s.Runner, d.path, d.systemID, d.build)
	c.Metrics, c.ConnectionMaxAge = d.gitlab, s.connectionMaxAge
	if c.ConnectionMaxAge <= 0 {
		c.ConnectionMaxAge = math.MaxInt64 // never
	}
	return c
}

// clientConfig says who a runner of the config file at path is to GitLab: the
// same for the daemon and for the commands that talk to GitLab in its name.
func clientConfig(r config.Runner, path, systemID string, build buildInfo) gitlab.Config {
	features := gitlab.DefaultFeatures()
	features["cache"], features["fallback_cache_keys"] = true, true
	features["vault_secrets"], features["job_inputs"] = true, true
	features["services"] = r.Executor == config.ExecutorKubernetes
	features["service_variables"] = r.Executor == config.ExecutorKubernetes
	features["service_multiple_aliases"] = r.Executor == config.ExecutorKubernetes
	features["image_executor_opts"] = r.Executor == config.ExecutorKubernetes
	return gitlab.Config{
		URL: r.URL, Token: r.Token, SystemID: systemID,
		TLS: tlsFiles(r, path),
		Info: gitlab.Info{
			Name: product, Version: build.Version, Revision: build.Revision,
			Executor: r.Executor, Shell: "bash", Features: features, Labels: r.Labels,
		},
	}
}

func tlsFiles(r config.Runner, path string) gitlab.TLS {
	return gitlab.TLS{CAFile: r.TLSCAFile, CertFile: r.TLSCertFile, KeyFile: r.TLSKeyFile, CertDir: certDir(path)}
}

func certDir(configPath string) string {
	if configPath == "" {
		return ""
	}
	return filepath.Join(filepath.Dir(configPath), "certs")
}

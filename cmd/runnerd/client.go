package main

import (
	"os"
	"path/filepath"

	"go.uber.org/zap"

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
	systemID, err := loadSystemID(path, zap.NewNop())
	if err != nil {
		return nil, err
	}
	d := daemon{build: currentBuild(), path: path, systemID: systemID}
	return gitlab.New(d.clientConfig(r))
}

package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/runnerd/runnerd/pkg/job"
)

// prepare makes the job's directories and files, and says where it runs.
func (h *helper) prepare(ctx context.Context) error {
	return h.phase(ctx, "prepare_script", "Preparing environment", func(context.Context) error {
		host, err := os.Hostname()
		if err != nil {
			host = "unknown host"
		}
		h.log.Plain(fmt.Sprintf("Running on %s via %s...", host, h.plan.HostName))
		for _, warning := range h.plan.Warnings {
			h.log.Warn(warning)
		}
		if err := h.loadAuthority(); err != nil {
			return err
		}
		if err := h.makeDirs(); err != nil {
			return fmt.Errorf("prepare environment: %w", err)
		}
		if err := h.writeFileVariables(); err != nil {
			return fmt.Errorf("prepare environment: %w", err)
		}
		return nil
	})
}

func (h *helper) makeDirs() error {
	made, err := mkdirAll(filepath.Dir(h.plan.ProjectDir))
	h.made = made
	if err != nil {
		return err
	}
	// Only a shared builds volume has one: of an earlier job.
	if err := os.RemoveAll(h.plan.TempDir); err != nil {
		return err
	}
	if h.plan.MemoryDir != "" {
		err = os.Symlink(h.plan.MemoryDir, h.plan.TempDir)
	} else {
		made, err = mkdirAll(h.plan.TempDir)
		h.made = append(h.made, made...)
	}
	if err != nil {
		return err
	}
	// From here on the directory is used through this handle, wherever a script
	// may move it or link it to.
	h.temp, err = os.OpenRoot(h.plan.TempDir)
	return err
}

// mkdirAll is os.MkdirAll, and returns the directories that it made.
func mkdirAll(dir string) (made []string, err error) {
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(dir); err == nil {
			break
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		made = append(made, dir)
	}
	slices.Reverse(made)
	for _, dir := range made {
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	return made, nil
}

// writeFileVariables writes the values of file variables, byte for byte, anew:
// a step may have changed them.
func (h *helper) writeFileVariables() error {
	last := make(map[string]job.Variable)
	for _, v := range h.plan.Variables {
		last[v.Key] = v
	}
	for key, v := range last {
		if !v.File {
			continue
		}
		if key != filepath.Base(key) || !fs.ValidPath(key) || key == "." {
			h.log.Warn(fmt.Sprintf("file variable %q is not written: its name is no file name", key))
			continue
		}
		if err := h.writeTemp(key, v.Value); err != nil {
			return fmt.Errorf("write file variable %s: %w", key, err)
		}
	}
	return nil
}

func (h *helper) writeTemp(name, text string) error {
	if err := h.temp.RemoveAll(name); err != nil {
		return err
	}
	file, err := h.temp.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	if err == nil && h.ready {
		err = h.give(file)
	}
	return errors.Join(err, file.Close())
}

// removeTemp removes file variables and GITLAB_ENV.
func (h *helper) removeTemp() error {
	if h.temp == nil {
		return nil
	}
	names, err := fs.Glob(h.temp.FS(), "*")
	errs := []error{err}
	for _, name := range names {
		errs = append(errs, h.temp.RemoveAll(name))
	}
	errs = append(errs, h.temp.Close())
	h.temp = nil
	// A script that put something else in its place may keep it.
	_ = os.Remove(h.plan.TempDir)
	return errors.Join(errs...)
}

package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// tidyRepository makes an earlier job's repository in dir safe to use: its
// configuration and hooks, which name programs to run, and stale locks go.
// existing says that there is a repository.
func tidyRepository(dir string) (existing bool, err error) {
	info, err := os.Lstat(filepath.Join(dir, ".git"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at the repository of an earlier job: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return false, fmt.Errorf("open the project directory: %w", err)
	}
	defer root.Close()
	if !info.IsDir() {
		// A link or a file that points elsewhere: no repository of runnerd's.
		if err := root.Remove(".git"); err != nil {
			return false, fmt.Errorf("remove .git of an earlier job: %w", err)
		}
		return false, nil
	}
	if err := tidyGitDir(root, ".git"); err != nil {
		return false, fmt.Errorf("tidy the repository of an earlier job: %w", err)
	}
	return true, nil
}

// tidyGitDir tidies one git directory, and those of the submodules in it.
func tidyGitDir(root *os.Root, dir string) error {
	for _, name := range []string{"config", "config.worktree", "hooks", "index.lock", "shallow.lock", "HEAD.lock", "config.lock", "commondir"} {
		if err := root.RemoveAll(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	modules := filepath.Join(dir, "modules")
	// Submodules are set up again from .gitmodules; what they fetched stays
	// useful only together with their configuration, so it goes too.
	if err := root.RemoveAll(modules); err != nil {
		return err
	}
	return fs.WalkDir(root.FS(), filepath.ToSlash(filepath.Join(dir, "refs")), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".lock") {
			return ignoreMissing(err)
		}
		return root.Remove(path)
	})
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

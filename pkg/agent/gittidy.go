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
	return fs.WalkDir(root.FS(), dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch entry.Name() {
		case "objects":
			if entry.IsDir() {
				return fs.SkipDir
			}
		case "hooks":
			if err := root.RemoveAll(path); err != nil || !entry.IsDir() {
				return err
			}
			return fs.SkipDir
		case "config", "config.worktree", "commondir":
			// A branch may have such a name, too.
			if !strings.Contains(path, "/refs/") && !strings.Contains(path, "/logs/") {
				return root.RemoveAll(path)
			}
		}
		if strings.HasSuffix(path, ".lock") && !entry.IsDir() {
			return root.Remove(path)
		}
		return nil
	})
}

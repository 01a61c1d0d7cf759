package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// errNotWritable explains the most frequent reason for a file that cannot be
// written.
var errNotWritable = errors.New("a ConfigMap or Secret mount is read-only; run the command where the file can be written, and update the ConfigMap from it")

// WriteFile replaces the file at path with data, or makes it, readable by its
// owner only: it holds tokens. Readers see the old file or the new one, also
// after a crash: the data is written aside and synced, the name is moved, and
// the folder is synced. A symbolic link is followed, not replaced.
func WriteFile(path string, data []byte) error {
	target, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		target, err = path, os.MkdirAll(filepath.Dir(path), 0o700)
	}
	if err == nil {
		err = replace(target, data)
	}
	if err == nil {
		err = syncDir(filepath.Dir(target))
	}
	if errors.Is(err, syscall.EROFS) || errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("write configuration %q: %w (%w)", path, err, errNotWritable)
	}
	if err != nil {
		return fmt.Errorf("write configuration %q: %w", path, err)
	}
	return nil
}

func replace(target string, data []byte) (err error) {
	dir := filepath.Dir(target)
	f, err := os.CreateTemp(dir, "."+filepath.Base(target)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if _, err := f.Write(data); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Sync(); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), target)
}

// syncDir makes a rename durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

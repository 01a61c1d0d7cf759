package treegen

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Digest is a sum over all that a cache keeps of the tree in dir: paths, kinds,
// permissions, times in ns, contents and the targets of symlinks. Two trees with
// one digest are the same.
func Digest(dir string) (string, error) {
	sum := sha256.New()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%q %v ", name, info.Mode())
		switch {
		case info.Mode().IsRegular():
			fmt.Fprintf(sum, "%d %d ", info.Size(), info.ModTime().UnixNano())
			file, err := os.Open(path)
			if err != nil {
				return err
			}
			defer file.Close()
			_, err = io.Copy(sum, file)
			return err
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			fmt.Fprintf(sum, "%q", target)
			return err
		}
		return nil
	})
	return hex.EncodeToString(sum.Sum(nil)), err
}

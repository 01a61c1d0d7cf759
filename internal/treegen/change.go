package treegen

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

// files lists the regular files below dir, in order.
func files(dir string) ([]string, error) {
	var list []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			list = append(list, path)
		}
		return err
	})
	return list, err
}

// maxChanged keeps Mutate to small files, as most changes are.
const maxChanged = 256 << 10

// Mutate changes a fraction of the small files in dir, and removes and adds a
// tenth as many. The files are others for every seed.
func Mutate(dir string, seed uint64, fraction float64) (changed int, err error) {
	list, err := files(dir)
	if err != nil {
		return 0, err
	}
	random := rand.New(rand.NewPCG(seed, 2))
	random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	text := newTexter(random)
	want := int(float64(len(list)) * fraction)
	for _, path := range list {
		if changed == want {
			break
		}
		info, err := os.Lstat(path)
		if err != nil {
			return changed, err
		}
		if info.Size() > maxChanged {
			continue
		}
		changed++
		if changed%10 == 0 {
			if err := os.Remove(path); err != nil {
				return changed, err
			}
			path = fmt.Sprintf("%s.new%d", path, seed)
		}
		if err := os.WriteFile(path, text.make(int(info.Size())+random.IntN(64)), info.Mode().Perm()); err != nil {
			return changed, err
		}
	}
	return changed, nil
}

// Recreate makes every file in dir anew: the same content, another inode and
// other times, as a package manager leaves them.
func Recreate(dir string) error {
	list, err := files(dir)
	if err != nil {
		return err
	}
	now := time.Now()
	for _, path := range list {
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		// Beside the old one, so that the inode is another.
		aside := path + ".recreated"
		if err := os.WriteFile(aside, content, info.Mode().Perm()); err != nil {
			return err
		}
		if err := os.Chtimes(aside, now, now); err != nil {
			return err
		}
		if err := os.Rename(aside, path); err != nil {
			return err
		}
	}
	return nil
}

package images

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// shell has /bin/sh and no other command: dash with its loader and libraries.
// busybox's would not do. Debian builds that to run applets inside the shell
// (FEATURE_SH_STANDALONE), so "sleep" works where no file has that name.
func shell() (v1.Layer, error) {
	const dash = "/bin/dash"
	data, err := os.ReadFile(dash)
	if err != nil {
		return nil, err
	}
	entries := append(skeleton(), entry{name: "bin/sh", mode: 0o755, data: data})
	libraries, err := libraries(dash)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dash, err)
	}
	for _, file := range libraries {
		if data, err = os.ReadFile(file); err != nil {
			return nil, err
		}
		entries = append(entries, entry{name: strings.TrimPrefix(file, "/"), mode: 0o755, data: data})
	}
	return layer(entries)
}

// libraries returns the loader that program names and the libraries that it
// needs, which the loader looks for in its own folder's usual neighbours.
func libraries(program string) ([]string, error) {
	f, err := elf.Open(program)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	section := f.Section(".interp")
	if section == nil {
		return nil, nil // static
	}
	interp, err := io.ReadAll(section.Open())
	if err != nil {
		return nil, err
	}
	needed, err := f.ImportedLibraries()
	if err != nil {
		return nil, err
	}
	files := []string{strings.TrimRight(string(interp), "\x00")}
	for _, lib := range needed {
		file, err := find(lib)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return files, nil
}

func find(lib string) (string, error) {
	for _, pattern := range []string{"/lib/*-linux-gnu", "/lib64", "/lib"} {
		matches, err := filepath.Glob(filepath.Join(pattern, lib))
		if err != nil || len(matches) > 0 {
			return strings.Join(matches[:min(1, len(matches))], ""), err
		}
	}
	return "", &fs.PathError{Op: "find", Path: lib, Err: errors.New("in no library folder")}
}

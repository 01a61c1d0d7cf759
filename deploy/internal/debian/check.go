package debian

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
)

// check says which programs lack a library: none may, or a package is missing.
func (t *Tree) check() error {
	have := map[string]bool{}
	for name := range t.files {
		have[path.Base(name)] = true
	}
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(t.files)) {
		data := t.files[name].data
		if !bytes.HasPrefix(data, []byte(elf.ELFMAG)) {
			continue
		}
		f, err := elf.NewFile(bytes.NewReader(data))
		if err != nil {
			return fmt.Errorf("/%s: %w", name, err)
		}
		needed, err := f.ImportedLibraries()
		if err != nil {
			continue // an object file, which has no such list
		}
		for _, library := range needed {
			if !have[library] {
				problems = append(problems, fmt.Errorf("/%s needs %s, which no package has", name, library))
			}
		}
	}
	return errors.Join(problems...)
}

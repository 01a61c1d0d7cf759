// Package stack makes one file of a kustomization.
package stack

import (
	"fmt"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

const header = "# Made by `make stack` from deploy/stack. Do not edit; docs/install.md says how to use it.\n"

// Render returns the objects of the kustomization in dir as one YAML text, in an
// order in which they can be made: namespaces first, then what others refer to.
func Render(dir string) ([]byte, error) {
	objects, err := build(dir)
	if err != nil {
		return nil, err
	}
	text, err := objects.AsYaml()
	return append([]byte(header), text...), err
}

// Objects returns the objects themselves.
func Objects(dir string) ([]*resource.Resource, error) {
	objects, err := build(dir)
	if err != nil {
		return nil, err
	}
	return objects.Resources(), nil
}

func build(dir string) (resmap.ResMap, error) {
	options := krusty.MakeDefaultOptions()
	options.Reorder = krusty.ReorderOptionLegacy
	objects, err := krusty.MakeKustomizer(options).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return objects, nil
}

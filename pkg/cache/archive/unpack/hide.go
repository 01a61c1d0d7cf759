package unpack

import "strings"

// A cover is what a delta has, and what it has removed: what of the base is not
// to be restored. The value says whether that goes for all below the path, too.
type cover map[string]bool

// coverOf returns the cover of a delta that workers have unpacked.
func coverOf(whiteouts []string, workers []*worker) cover {
	c := cover{}
	for _, w := range workers {
		for i := range w.known {
			c[w.known[i].Path] = true
		}
		for _, l := range w.larges {
			c[l.known.Path] = true
		}
		for i := range w.links {
			c[w.links[i].name] = true
		}
		for i := range w.folders {
			c[w.folders[i].path] = false
		}
	}
	for _, path := range whiteouts {
		c[path] = true
	}
	return c
}

// A coverer is one goroutine's view of a cover: it remembers the last folder,
// as neighbours in an archive mostly have the same.
type coverer struct {
	cover
	folder string
	hidden bool // all that is in folder
}

// hides says whether the delta takes path's place.
func (c *coverer) hides(path string) bool {
	if c.cover == nil {
		return false
	}
	if _, ok := c.cover[path]; ok {
		return true
	}
	folder := parentOf(path)
	if folder != c.folder {
		c.folder, c.hidden = folder, c.hidesFolder(folder)
	}
	return c.hidden
}

// hidesFolder says whether all that is in folder is hidden.
func (c *coverer) hidesFolder(folder string) bool {
	for ; folder != ""; folder = parentOf(folder) {
		if c.cover[folder] {
			return true
		}
	}
	return false
}

// parentOf returns the folder that path is in, "" for the root.
func parentOf(path string) string {
	return path[:max(strings.LastIndexByte(path, '/'), 0)]
}

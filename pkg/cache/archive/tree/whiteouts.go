package tree

import "strings"

// changes sums up what was found out.
func (c *comparison) changes() *Changes {
	out := &Changes{Base: c.record.base}
	for i, m := range c.marks {
		switch m.status {
		case changed:
			out.Changed++
		case added:
			out.Added++
		case same:
		}
		if !m.send {
			continue
		}
		out.Entries = append(out.Entries, c.now[i])
		out.Delta.add(c.now[i].raw())
		if m.inBase {
			out.Superseded.add(m.base)
		}
	}
	gone := make(map[string]bool)
	for _, k := range c.absent {
		raw, inBase := k.inBase()
		if inBase && c.needed(k.Path) {
			continue
		}
		if k.Kind != 0 {
			out.Deleted++
		}
		if !inBase {
			continue
		}
		out.Superseded.add(raw)
		if !below(k.Path, gone) {
			out.Whiteouts = append(out.Whiteouts, k.Path)
			gone[k.Path] = true
		}
	}
	return out
}

// needed says whether something below path stays in the base. Then path is a
// folder, which a pattern does not name any more; what is in it does.
func (c *comparison) needed(path string) bool {
	first, _ := find(c.now, path+"/")
	for i := first; i < len(c.now) && within(c.now[i].Path, path); i++ {
		if !c.marks[i].send {
			return true
		}
	}
	return false
}

// below says whether a folder above path is in the set.
func below(path string, set map[string]bool) bool {
	for {
		slash := strings.LastIndexByte(path, '/')
		if slash < 0 {
			return false
		}
		path = path[:slash]
		if set[path] {
			return true
		}
	}
}

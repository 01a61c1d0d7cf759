package tree

// Changes are the difference between a restored cache and what its files are
// now.
type Changes struct {
	// Entries are what a new delta has to hold, sorted: all that differs from the
	// base now, also what came from the old delta and has not changed since.
	Entries []Entry

	// Whiteouts are the paths of the base that are gone, sorted. They hide what is
	// below them; where a whole folder is gone, only the folder is named.
	Whiteouts []string

	Changed int // entries that are not as they were restored
	Added   int // entries that were not restored
	Deleted int // entries that were restored and are gone

	Base       Totals // of the base
	Superseded Totals // of the base's entries that are in Entries or gone, about
	Delta      Totals // of Entries, about
}

// None says that nothing has changed since the restore.
func (c *Changes) None() bool { return c.Changed+c.Added+c.Deleted == 0 }

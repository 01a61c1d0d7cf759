package tree

// A Selection says which files belong to a cache.
type Selection struct {
	// Patterns are globs as doublestar has them, relative to ProjectDir or absolute.
	// A folder that matches is taken with all that is in it. Symlinks are never
	// followed, not even where a pattern names what is behind one.
	Patterns   []string
	ProjectDir string // absolute; what the root is, as far as patterns know

	// Untracked are single paths, relative to ProjectDir. A folder among them is
	// taken without what is in it.
	Untracked []string

	// Refuse are folders, relative to ProjectDir, that belong to no cache unless
	// a pattern begins with them literally.
	Refuse []string
}

// A Listing is what a Selection has found.
type Listing struct {
	// Entries are sorted by the bytes of their paths, each path once. The folders
	// above what a pattern matches have no entry, unless they match themselves.
	Entries  []Entry
	Matches  []Match  // one for each pattern, in order
	Warnings []string // what was left out and why, for the job's author; a bounded number
}

// A Match says how many entries a pattern stands for. Those that two patterns
// stand for count for both.
type Match struct {
	Pattern string
	Count   int
}

package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// leaveNothing checks that no file or process of a job is left.
func leaveNothing(s *site) {
	s.Helper()
	root := filepath.Join(s.dir, "work")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			s.Errorf("%s is left over", path)
		}
		return err
	})
	if err != nil {
		s.Error(err)
	}
	processes, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		s.Fatal(err)
	}
	for _, path := range processes {
		if line, err := os.ReadFile(path); err == nil && strings.Contains(string(line), root) {
			s.Errorf("process %s is left over: %q", path, line)
		}
	}
}

// counter returns the value of a metric without labels.
func (r *instance) counter(name string) float64 {
	r.Helper()
	families, err := r.daemon.registry.Gather()
	if err != nil {
		r.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	r.Fatalf("no metric %q", name)
	return 0
}

// setups returns what the running entries are made of. It is for when the
// daemon's own goroutine is at rest: behind what its log has said.
func (r *instance) setups() []entrySetup {
	var list []entrySetup
	for _, e := range r.daemon.running {
		list = append(list, e.setup)
	}
	return list
}

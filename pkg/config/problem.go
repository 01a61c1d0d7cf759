package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// A Problem is one thing in the file that has to change before it can be used.
type Problem struct {
	File    string
	Line    int    // from 1; 0 when the file as a whole is meant
	Key     string // "runners[0].kubernetes.namespace"; "" for a syntax error
	Message string // what is wrong; what to do
}

// Error returns the problem as one line:
//
//	config.toml:14: runners[0].limit: is a string; write a whole number without quotes
func (p *Problem) Error() string { return location(p.File, p.Line, p.Key) + p.Message }

// A Warning is one thing in the file that has no effect or may surprise. The
// file can be used.
type Warning struct {
	File    string
	Line    int
	Key     string
	Message string
}

// String returns the warning as one line, in the form of [Problem.Error].
func (w Warning) String() string { return location(w.File, w.Line, w.Key) + w.Message }

func location(file string, line int, key string) string {
	if line > 0 {
		file = fmt.Sprintf("%s:%d", file, line)
	}
	if key != "" {
		key += ": "
	}
	return file + ": " + key
}

// A report collects what is found in one file.
type report struct {
	file     string
	index    *index
	problems []*Problem
	warnings []Warning
}

// problem reports what is wrong at path. Only the first word on a path counts:
// a value that could not be read is not missing as well.
func (r *report) problem(path, format string, args ...any) {
	if slices.ContainsFunc(r.problems, func(p *Problem) bool { return p.Key == path }) {
		return
	}
	r.problems = append(r.problems, &Problem{
		File: r.file, Line: r.index.line(path), Key: path, Message: fmt.Sprintf(format, args...),
	})
}

func (r *report) warn(path, format string, args ...any) {
	r.warnings = append(r.warnings, Warning{
		File: r.file, Line: r.index.line(path), Key: path, Message: fmt.Sprintf(format, args...),
	})
}

// err joins the problems in the order of the file; nil when there are none.
func (r *report) err() error {
	slices.SortStableFunc(r.problems, func(a, b *Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Key, b.Key))
	})
	errs := make([]error, len(r.problems))
	for i, p := range r.problems {
		errs[i] = p
	}
	return errors.Join(errs...)
}

func (r *report) sortedWarnings() []Warning {
	slices.SortStableFunc(r.warnings, func(a, b Warning) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Key, b.Key))
	})
	return r.warnings
}

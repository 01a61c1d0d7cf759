package conformance

import (
	"archive/zip"
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/runnerd/runnerd/internal/standin"
)

// Verify says how a job that has ended differs from what its row wants.
func (row Row) Verify(w *World, j *standin.Job) error {
	want := row.Want
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if state := cmp.Or(want.State, standin.Success); j.State() != state {
		wrong("it is %s (%s, exit code %d), want %s", j.State(), j.FailureReason(), j.ExitCode(), state)
	}
	if want.Reason != "" && j.FailureReason() != want.Reason {
		wrong("it failed with %s, want %s", j.FailureReason(), want.Reason)
	}
	if want.Exit != 0 && j.ExitCode() != want.Exit {
		wrong("its exit code is %d, want %d", j.ExitCode(), want.Exit)
	}
	lines := Lines(j.Text())
	rest := lines
	for _, line := range want.Lines {
		i := slices.Index(rest, line)
		if i < 0 {
			wrong("the log has no line %.200q (behind those wanted before it)", line)
			continue
		}
		rest = rest[i+1:]
	}
	for _, line := range want.NoLines {
		if slices.Contains(lines, line) {
			wrong("the log has a line %.200q", line)
		}
	}
	text := strings.Join(lines, "\n")
	for _, part := range want.Says {
		if !strings.Contains(text, part) {
			wrong("the log does not say %.200q", part)
		}
	}
	for _, part := range want.Lacks {
		if strings.Contains(text, part) {
			wrong("the log says %.200q", part)
		}
	}
	for _, part := range want.Raw {
		if !strings.Contains(j.Text(), part) {
			wrong("the log does not hold %.200q", part)
		}
	}
	errs = append(errs, verifyUploads(want.Uploads, j.Uploads()))
	if want.Check != nil {
		errs = append(errs, want.Check(w, j))
	}
	return errors.Join(errs...)
}

var markers = regexp.MustCompile(`section_(?:start|end):\d+:[A-Za-z0-9_.-]+(?:\[[^\]]*\])?\r|\x1b\[[0-9;]*[mK]`)

// Lines are the lines of a log as a reader sees them.
func Lines(text string) []string {
	return strings.Split(markers.ReplaceAllString(text, ""), "\n")
}

// Section is what stands in a section of a log, its title's line left out.
func Section(text, name string) (string, error) {
	section := regexp.MustCompile(`(?s)section_start:\d+:` + regexp.QuoteMeta(name) + `(?:\[[^\]]*\])?\r\x1b\[0K[^\n]*\n(.*?)section_end:\d+:` + regexp.QuoteMeta(name) + `\r`)
	m := section.FindStringSubmatch(text)
	if m == nil {
		return "", fmt.Errorf("the log has no section %s", name)
	}
	return m[1], nil
}

func verifyUploads(want []Upload, got []standin.Upload) error {
	if want == nil {
		return nil
	}
	if len(want) != len(got) {
		return fmt.Errorf("%d artifacts were uploaded, want %d", len(got), len(want))
	}
	var errs []error
	for i, w := range want {
		if err := w.verify(got[i]); err != nil {
			errs = append(errs, fmt.Errorf("upload %d: %w", i+1, err))
		}
	}
	return errors.Join(errs...)
}

func (u Upload) verify(got standin.Upload) error {
	kind, format := cmp.Or(u.Type, "archive"), cmp.Or(u.Format, "zip")
	if got.Type != kind || got.Format != format || u.Filename != "" && got.Filename != u.Filename {
		return fmt.Errorf("it is a %s as %s named %q, want a %s as %s named %q", got.Type, got.Format, got.Filename, kind, format, u.Filename)
	}
	switch format {
	case "zip":
		return u.verifyZip(got.Data)
	case "gzip":
		return u.verifyGzip(got.Data)
	}
	return u.verifyContent(got.Data)
}

func (u Upload) verifyZip(data []byte) error {
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return err
	}
	var names []string
	for _, f := range archive.File {
		names = append(names, f.Name)
	}
	for _, name := range u.Entries {
		if !slices.Contains(names, name) {
			return fmt.Errorf("the archive lacks %q; it holds %q", name, names)
		}
	}
	for _, name := range u.Lacks {
		if slices.Contains(names, name) {
			return fmt.Errorf("the archive holds %q", name)
		}
	}
	return nil
}

func (u Upload) verifyGzip(data []byte) error {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return err
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	return u.verifyContent(text)
}

func (u Upload) verifyContent(got []byte) error {
	if u.Content != "" && string(got) != u.Content {
		return fmt.Errorf("it holds %.200q, want %.200q", got, u.Content)
	}
	return nil
}

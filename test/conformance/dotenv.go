package conformance

import (
	"bytes"
	"compress/gzip"
	"io"
	"strings"

	"github.com/runnerd/runnerd/internal/standin"
)

// dotenv reads the variables of a job's dotenv report, as GitLab does for the
// jobs behind it. What cannot be read gives none, which their rows then miss.
func dotenv(j *standin.Job) []standin.Variable {
	if j == nil {
		return nil
	}
	var list []standin.Variable
	for _, u := range j.Uploads() {
		if u.Type != "dotenv" {
			continue
		}
		r, err := gzip.NewReader(bytes.NewReader(u.Data))
		if err != nil {
			continue
		}
		text, err := io.ReadAll(r)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
				list = append(list, vars(key, value)...)
			}
		}
	}
	return list
}

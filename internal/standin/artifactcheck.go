package standin

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"
)

// checkArtifact looks into an artifact and returns what is wrong with it.
func checkArtifact(u Upload) []string {
	var problems []string
	if ext := map[string]string{"zip": ".zip", "gzip": ".gz"}[u.Format]; !strings.HasSuffix(u.Filename, ext) {
		problems = append(problems, fmt.Sprintf("name of a %s artifact does not end with %s", u.Format, ext))
	}
	if strings.ContainsAny(u.Filename, `/\`) {
		problems = append(problems, "name is not a base name")
	}
	switch u.Format {
	case "zip":
		problems = append(problems, checkZip(u.Data)...)
	case "gzip":
		if _, err := gunzip(u.Data); err != nil {
			problems = append(problems, "not gzip: "+err.Error())
		}
	}
	return problems
}

func checkZip(data []byte) []string {
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return []string{"not a zip archive: " + err.Error()}
	}
	var problems []string
	for _, f := range r.File {
		if path.IsAbs(f.Name) || strings.Contains(f.Name, `\`) || slices.Contains(strings.Split(f.Name, "/"), "..") {
			problems = append(problems, fmt.Sprintf("entry %q leads out of the project", f.Name))
		}
		if err := readEntry(f); err != nil {
			problems = append(problems, fmt.Sprintf("entry %q: %v", f.Name, err))
		}
	}
	return problems
}

func readEntry(f *zip.File) error {
	r, err := f.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(io.Discard, r) // checks the entry's CRC
	return err
}

// gunzip reads all members.
func gunzip(data []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

var dotenvLine = regexp.MustCompile(`^(export )?[A-Za-z0-9_]+=`)

func validDotenv(data []byte) bool {
	text, err := gunzip(data)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !dotenvLine.MatchString(line) {
			return false
		}
	}
	return true
}

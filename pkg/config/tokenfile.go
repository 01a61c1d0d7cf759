package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/runnerd/runnerd/pkg/job"
)

// maxTokenFile is far above any token. A token_file that names a log, or
// something without an end, is a mistake to report and not to read.
const maxTokenFile = 4096

// ReadToken returns the token in the file at path: one word, with or without
// white space around it. The file may be a symlink, as in a mounted Secret. The
// error does not show what the file holds.
func ReadToken(path string) (job.Secret, error) {
	text, err := readRegular(path, maxTokenFile+1)
	if err != nil {
		return "", err
	}
	words := strings.Fields(string(text))
	switch {
	case len(text) > maxTokenFile:
		return "", fmt.Errorf("%s is larger than %d bytes: it holds no token", path, maxTokenFile)
	case len(words) == 0:
		return "", fmt.Errorf("%s is empty", path)
	case len(words) > 1:
		return "", errors.New(path + " holds more than one word")
	}
	return job.Secret(words[0]), nil
}

// readTokens puts the token of each token_file into the entry's Token.
func (c *Config) readTokens(r *report) {
	for i := range c.Runners {
		runner, at := &c.Runners[i], elementPath("runners", i)
		if runner.TokenFile == "" {
			continue
		}
		if runner.Token != "" {
			r.problem(at+".token_file", "token and token_file exclude each other; write one of them")
			continue
		}
		token, err := ReadToken(runner.TokenFile)
		if err != nil {
			r.problem(at+".token_file", "%v; write the path of a file that holds the runner authentication token (glrt-…) and nothing else", err)
			continue
		}
		runner.Token = token
	}
}

// readRegular returns the first bytes of a regular file, limit at most. Anything else
// might block, or never end.
func readRegular(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path) // before it is opened: a pipe would block
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}

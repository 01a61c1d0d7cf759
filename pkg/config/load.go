package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"

	"github.com/BurntSushi/toml"
)

// DefaultPath is where config.toml lies unless somebody says otherwise.
const DefaultPath = "/etc/runnerd/config.toml"

// Load reads the file at path. See [Parse].
func Load(path string) (*Config, []Warning, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read configuration: %w", err)
	}
	return Parse(path, data)
}

// Parse reads the text of a config.toml. name stands in front of every problem
// and warning; it should be the file's path.
//
// The error joins one [*Problem] for each thing that is wrong, in the order of
// the file; the Config is then nil. Where the syntax is broken that is the only
// problem, since nothing behind it can be trusted. Warnings come in both cases.
// References such as ${NAME} in url and token are resolved from the environment
// of the process, and the files that token_file names are read.
func Parse(name string, data []byte) (*Config, []Warning, error) {
	tables, err := parseTOML(name, data)
	if err != nil {
		return nil, nil, err
	}
	r := &report{file: name, index: newIndex(string(data))}
	c := &Config{}
	c.setDefaults()
	decoder{r}.table("", tables, reflect.ValueOf(c).Elem())
	c.expand(r, os.LookupEnv)
	c.readTokens(r)
	c.readBundles(r)
	c.validate(r)
	if err := r.err(); err != nil {
		return nil, r.sortedWarnings(), err
	}
	c.normalize()
	return c, r.sortedWarnings(), nil
}

// parseTOML returns the tables of a TOML text; the error is a *Problem.
func parseTOML(name string, data []byte) (map[string]any, error) {
	var tables map[string]any
	_, err := toml.Decode(string(data), &tables)
	if perr, ok := errors.AsType[toml.ParseError](err); ok {
		return nil, &Problem{
			File: name, Line: perr.Position.Line,
			Message: syntaxMessage(perr, data) + "; correct the TOML of this line, or of the one above it",
		}
	}
	if err != nil {
		return nil, &Problem{File: name, Message: err.Error()}
	}
	return tables, nil
}

// secretKey matches the keys whose values must not be shown.
var secretKey = regexp.MustCompile(`(?i)token|secretkey`)

// syntaxMessage says what is wrong with the syntax. The TOML package quotes
// what it has found; that is a secret where somebody forgot a token's quotes.
func syntaxMessage(err toml.ParseError, data []byte) string {
	lines := strings.Split(string(data), "\n")
	if n := err.Position.Line; n > 0 && n <= len(lines) && secretKey.MatchString(lines[n-1]) || secretKey.MatchString(err.LastKey) {
		return "no TOML, and not shown since it may hold a secret"
	}
	return strings.ReplaceAll(err.Message, "\n", " ")
}

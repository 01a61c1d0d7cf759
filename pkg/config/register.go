package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/runnerd/runnerd/pkg/job"
)

// A NewRunner is a [[runners]] entry to add. Empty fields leave the template's
// value, or leave the key out.
type NewRunner struct {
	Name            string
	URL             string
	ID              int64
	Token           job.Secret
	TokenObtainedAt time.Time
	TokenExpiresAt  time.Time // zero: the token does not expire
	TLSCAFile       string
	Executor        string
	Namespace       string // of job pods
	Image           string // for jobs that name none
	Settings        []Setting

	// Template is a config.toml with one [[runners]] entry and nothing else,
	// which the new entry starts from.
	Template     []byte
	TemplateName string // for errors
}

// A Setting is one key of a table of the new entry.
type Setting struct {
	Table string // below the entry: "cache", "cache.s3"
	Key   string
	Value any // string, bool or int64
}

func (s Setting) text() string {
	switch v := s.Value.(type) {
	case string:
		return tomlString(v)
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return tomlInt(v)
	default:
		panic(fmt.Sprintf("config: no way to write a %T for %s", v, s.Key))
	}
}

// AppendRunner returns data with a new [[runners]] block at its end.
func AppendRunner(name string, data []byte, n NewRunner) ([]byte, error) {
	before, err := parseTOML(name, data)
	if err != nil {
		return nil, err
	}
	if _, blocks := before["runners"].([]map[string]any); before["runners"] != nil && !blocks {
		return nil, fmt.Errorf("%s: runners: not written as [[runners]] blocks; rewrite it so, or add the entry by hand", name)
	}
	block, err := n.block()
	if err != nil {
		return nil, err
	}
	text := withNewline(string(data))
	if text != "" {
		text += "\n"
	}
	added, err := parseTOML(name, []byte(block))
	if err != nil {
		return nil, err
	}
	return checked(name, data, text+block, func(tables map[string]any) error {
		list, _ := tables["runners"].([]map[string]any)
		tables["runners"] = append(list, added["runners"].([]map[string]any)...)
		return nil
	})
}

// block writes the entry as text.
func (n *NewRunner) block() (string, error) {
	text := "[[runners]]\n"
	if len(n.Template) > 0 {
		var err error
		if text, err = n.template(); err != nil {
			return "", err
		}
	}
	const runner, kubernetes = "runners[0]", "runners[0].kubernetes"
	// set puts a new key below the header, so the last one here stands first.
	for _, v := range []struct {
		path, key, value string
		wanted           bool
	}{
		{runner, "tls-ca-file", tomlString(n.TLSCAFile), n.TLSCAFile != ""},
		{runner, "executor", tomlString(n.Executor), n.Executor != ""},
		{runner, "token_expires_at", tomlTime(n.TokenExpiresAt), !n.TokenExpiresAt.IsZero()},
		{runner, "token_obtained_at", tomlTime(n.TokenObtainedAt), !n.TokenObtainedAt.IsZero()},
		{runner, "token", tomlString(n.Token.Reveal()), true},
		{runner, "id", tomlInt(n.ID), n.ID != 0},
		{runner, "url", tomlString(n.URL), true},
		{runner, "name", tomlString(n.Name), n.Name != ""},
		{kubernetes, "namespace", tomlString(n.Namespace), n.Namespace != ""},
		{kubernetes, "image", tomlString(n.Image), n.Image != ""},
	} {
		if v.wanted {
			text = set(text, v.path, v.key, v.value)
		}
	}
	for _, s := range slices.Backward(n.Settings) {
		text = set(text, runner+"."+s.Table, s.Key, s.text())
	}
	return text, nil
}

// template returns the template's one block. What stands above it, comments
// only, stays where it is.
func (n *NewRunner) template() (string, error) {
	tables, err := parseTOML(n.TemplateName, n.Template)
	if err != nil {
		return "", err
	}
	list, _ := tables["runners"].([]map[string]any)
	if len(list) != 1 || len(tables) != 1 {
		return "", fmt.Errorf("%s: a template holds one [[runners]] entry and nothing else", n.TemplateName)
	}
	r := &report{file: n.TemplateName, index: newIndex(string(n.Template))}
	decoder{r}.table("", tables, reflect.ValueOf(&Config{}).Elem())
	if err := r.err(); err != nil {
		return "", err
	}
	return withNewline(string(n.Template)), nil
}

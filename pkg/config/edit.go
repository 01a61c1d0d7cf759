package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/runnerd/runnerd/pkg/job"
)

// SetToken returns data with the token of [[runners]] entry i replaced, for
// token rotation. obtained and expires are written beside it; a zero expires
// takes its key's value back to the zero time. A token that the file takes from
// the environment cannot be replaced: that is an error.
func SetToken(name string, data []byte, i int, token job.Secret, obtained, expires time.Time) ([]byte, error) {
	path := elementPath("runners", i)
	x := newIndex(string(data))
	at, ok := x.keys[path+".token"]
	if !ok || at.end == 0 {
		return nil, fmt.Errorf("%s: %s.token: there is none to replace", name, path)
	}
	if reference.Match(data[at.start:at.end]) {
		return nil, fmt.Errorf("%s:%d: %s.token: comes from the environment; replace it there", name, at.line, path)
	}
	text := string(data)
	for _, v := range []struct{ key, value string }{
		{"token", tomlString(token.Reveal())},
		{"token_obtained_at", tomlTime(obtained)},
		{"token_expires_at", tomlTime(expires)},
	} {
		text = set(text, path, v.key, v.value)
	}
	return checked(name, data, text, func(tables map[string]any) error {
		entry, err := runnerTable(tables, i)
		if err != nil {
			return err
		}
		entry["token"], entry["token_obtained_at"], entry["token_expires_at"] = token.Reveal(), seconds(obtained), seconds(expires)
		return nil
	})
}

// RemoveRunner returns data without [[runners]] entry i: its header, the tables
// below it, and the comment lines directly above its header. All else stays as
// it is, also the comment lines directly above the next header or the file's
// end.
func RemoveRunner(name string, data []byte, i int) ([]byte, error) {
	text, path := string(data), elementPath("runners", i)
	x := newIndex(text)
	var kept strings.Builder
	found := false
	from := 0
	for n, s := range x.sections {
		if s.path != path && !strings.HasPrefix(s.path, path+".") {
			continue
		}
		found = true
		start := commentStart(text, x.sections[n-1].body, s.start)
		if start == 0 { // a comment at the top is the file's, not the block's
			start = s.start
		}
		kept.WriteString(text[from:max(from, start)])
		from = commentStart(text, s.body, s.end) // the next block's, or the file's last words
	}
	if !found {
		return nil, fmt.Errorf("%s: %s: not written as a [[runners]] block; take it out by hand", name, path)
	}
	kept.WriteString(text[from:])
	return checked(name, data, kept.String(), func(tables map[string]any) error {
		list, _ := tables["runners"].([]map[string]any)
		if i >= len(list) {
			return fmt.Errorf("%s: no such entry", path)
		}
		tables["runners"] = append(list[:i:i], list[i+1:]...)
		if len(list) == 1 {
			delete(tables, "runners")
		}
		return nil
	})
}

// commentStart returns where the comment lines directly above offset begin;
// offset itself when there are none. They are not looked for above least.
func commentStart(text string, least, offset int) int {
	for offset > least {
		line := text[strings.LastIndexByte(text[:offset-1], '\n')+1 : offset]
		if !strings.HasPrefix(strings.TrimSpace(line), "#") {
			break
		}
		offset -= len(line)
	}
	return max(offset, least)
}

// set gives key in the table at path a value: in its place when the file has
// the key, else in a new line below the table's header.
func set(text, path, key, value string) string {
	x := newIndex(text)
	if at, ok := x.keys[joinPath(path, key)]; ok && at.end > 0 {
		return text[:at.start] + value + text[at.end:]
	}
	for _, s := range x.sections {
		if s.path == path && path != "" {
			header := text[s.start:s.body]
			indent := header[:len(header)-len(strings.TrimLeft(header, " \t"))] + "  "
			if !strings.HasSuffix(header, "\n") {
				header += "\n"
			}
			return text[:s.start] + header + indent + key + " = " + value + "\n" + text[s.body:]
		}
	}
	// A table that has no header yet. The text ends in the block it belongs to.
	return withNewline(text) + "  [" + tableName(path) + "]\n    " + key + " = " + value + "\n"
}

func withNewline(text string) string {
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text
}

// checked returns text when its values are those of before with change made to
// them. An edit that would do anything else is refused: the file is the
// operator's, and nothing in it may change behind their back.
func checked(name string, before []byte, text string, change func(map[string]any) error) ([]byte, error) {
	want, err := parseTOML(name, before)
	if err != nil {
		return nil, err
	}
	if err := change(want); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	got, err := parseTOML(name, []byte(text))
	if err != nil || !reflect.DeepEqual(got, want) {
		return nil, fmt.Errorf("%s: its layout is too unusual to be edited safely; change the [[runners]] entry by hand", name)
	}
	return []byte(text), nil
}

func runnerTable(tables map[string]any, i int) (map[string]any, error) {
	list, _ := tables["runners"].([]map[string]any)
	if i >= len(list) {
		return nil, fmt.Errorf("%s: no such entry", elementPath("runners", i))
	}
	return list[i], nil
}

func seconds(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

func tomlTime(t time.Time) string { return seconds(t).Format(time.RFC3339) }

// tomlString writes s as a TOML basic string.
func tomlString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			b.WriteRune('\\')
			b.WriteRune(c)
		case c < ' ' || c == 0x7f:
			b.WriteString(`\u` + fmt.Sprintf("%04x", c))
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func tomlInt(n int64) string { return strconv.FormatInt(n, 10) }

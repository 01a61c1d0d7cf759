package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// A decoder fills a struct from the TOML package's untyped tables. The TOML
// package could do so itself, but stops at the first value of a wrong type and
// passes over unknown keys; the decoder goes on and reports each with its line.
//
// A struct field names its key in its toml tag. The option prefix puts the keys
// of a struct beside those of the struct around it, each with the tag's name in
// front. A type with a decode method reads its own value.
type decoder struct{ *report }

type selfDecoder interface{ decode(v any) error }

type defaulter interface{ setDefaults() }

// table decodes in into the struct out. path is that of in.
func (d decoder) table(path string, in map[string]any, out reflect.Value) {
	fields := map[string]reflect.Value{}
	collectFields("", out, fields)
	for _, key := range slices.Sorted(maps.Keys(in)) {
		keyPath := joinPath(path, key)
		name := matching(key, fields)
		if why, ok := lookupIgnored(path, orElse(name, key)); ok && why.matters(in[key]) {
			d.warn(keyPath, "GitLab Runner's key has no effect here: %s", why.reason)
		} else if !ok && name == "" {
			d.unknown(path, keyPath, key, fields)
		}
		if name != "" {
			d.value(keyPath, in[key], fields[name])
		}
	}
}

// collectFields gathers the fields of out by key.
func collectFields(prefix string, out reflect.Value, fields map[string]reflect.Value) {
	for i := range out.NumField() {
		name, option, _ := strings.Cut(out.Type().Field(i).Tag.Get("toml"), ",")
		if option == "prefix" {
			collectFields(prefix+name, out.Field(i), fields)
			continue
		}
		fields[prefix+name] = out.Field(i)
	}
}

// matching returns the field name for key, "" when there is none. The case of
// letters does not count, as in GitLab Runner.
func matching(key string, fields map[string]reflect.Value) string {
	if _, ok := fields[key]; ok {
		return key
	}
	for name := range fields {
		if strings.EqualFold(name, key) {
			return name
		}
	}
	return ""
}

func (d decoder) unknown(path, keyPath, key string, fields map[string]reflect.Value) {
	names := slices.Sorted(maps.Keys(fields))
	if s := nearest(key, append(names, ignoredIn(path)...)); s != "" {
		d.problem(keyPath, "unknown key; did you mean %q?", s)
		return
	}
	d.problem(keyPath, "unknown key; take it out, or check its name and the table it stands in")
}

func (d decoder) value(path string, v any, out reflect.Value) {
	if self, ok := out.Addr().Interface().(selfDecoder); ok {
		if err := self.decode(v); err != nil {
			d.problem(path, "%v", err)
		}
		return
	}
	switch out.Kind() {
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int64:
		d.scalar(path, v, out)
	case reflect.Slice:
		d.list(path, v, out)
	case reflect.Map:
		d.stringMap(path, v, out)
	case reflect.Struct:
		if out.Type() == reflect.TypeFor[time.Time]() {
			d.time(path, v, out)
			return
		}
		in, ok := v.(map[string]any)
		if !ok {
			d.problem(path, "%v", wrongType(v, "write a table, ["+tableName(path)+"]"))
			return
		}
		d.table(path, in, out)
	default:
		panic(fmt.Sprintf("config: no rule for a field of type %s at %s", out.Type(), path))
	}
}

func (d decoder) scalar(path string, v any, out reflect.Value) {
	want := wantString
	switch out.Kind() {
	case reflect.Bool:
		if b, ok := v.(bool); ok {
			out.SetBool(b)
			return
		}
		want = wantBool
	case reflect.Int, reflect.Int64:
		if n, ok := v.(int64); ok {
			out.SetInt(n)
			return
		}
		want = wantInt
	default:
		if s, ok := v.(string); ok {
			out.SetString(s)
			return
		}
	}
	d.problem(path, "%v", wrongType(v, want))
}

func (d decoder) time(path string, v any, out reflect.Value) {
	t, ok := v.(time.Time)
	if !ok {
		d.problem(path, "%v", wrongType(v, wantTime))
		return
	}
	out.Set(reflect.ValueOf(t))
}

// list decodes an array, of tables or of values.
func (d decoder) list(path string, v any, out reflect.Value) {
	in := reflect.ValueOf(v)
	if in.Kind() != reflect.Slice {
		want := `write a list such as ["a", "b"]`
		switch out.Type().Elem().Kind() {
		case reflect.Struct:
			want = "write [[" + tableName(path) + "]] with double brackets"
		case reflect.Int64:
			want = "write a list such as [1, 2]"
		}
		d.problem(path, "%v", wrongType(v, want))
		return
	}
	list := reflect.MakeSlice(out.Type(), in.Len(), in.Len())
	for i := range in.Len() {
		if def, ok := list.Index(i).Addr().Interface().(defaulter); ok {
			def.setDefaults()
		}
		d.value(elementPath(path, i), in.Index(i).Interface(), list.Index(i))
	}
	out.Set(list)
}

// stringMap decodes a table whose keys the operator chooses.
func (d decoder) stringMap(path string, v any, out reflect.Value) {
	in, ok := v.(map[string]any)
	if !ok {
		d.problem(path, "%v", wrongType(v, "write a table, ["+tableName(path)+"]"))
		return
	}
	m := reflect.MakeMapWithSize(out.Type(), len(in))
	for _, key := range slices.Sorted(maps.Keys(in)) {
		value := reflect.New(out.Type().Elem()).Elem()
		d.value(joinPath(path, key), in[key], value)
		m.SetMapIndex(reflect.ValueOf(key), value)
	}
	out.Set(m)
}

// tableName is how a header writes path: without the positions in lists.
func tableName(path string) string { return positions.ReplaceAllString(path, "") }

func orElse(s, otherwise string) string {
	if s != "" {
		return s
	}
	return otherwise
}

package configdoc

import (
	"cmp"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/runnerd/runnerd/pkg/config"
	"github.com/runnerd/runnerd/pkg/job"
)

// A table is the tables of the file that one type describes.
type table struct {
	headers []string // "[runners.kubernetes]"; "" is the file's beginning
	text    string   // what the type's comment says
	rows    []row
}

// A row is one key, or the same key behind several prefixes.
type row struct {
	paths []string // runners.kubernetes.cpu_request, without positions
	names []string
	typ   string
	def   string // as the file has it; "" when the key is not set
	text  string
	below int // of a key that is a table, where that is among the tables; 0: no table
}

// walk returns the tables of a config.toml in the order in which the types name
// them. at is the config of a file that sets next to nothing.
func walk(s *source, at *config.Config) []table {
	w := walker{source: s, index: map[reflect.Type]int{}}
	w.add("", "", reflect.ValueOf(*at))
	for len(w.queue) > 0 {
		next := w.queue[0]
		w.queue = w.queue[1:]
		w.fill(next) // which may add to the queue
	}
	return w.tables
}

type walker struct {
	*source
	queue  []pending
	index  map[reflect.Type]int // of tables
	tables []table
}

// pending is a type whose rows are still to be written.
type pending struct {
	path  string
	value reflect.Value
	into  int
}

// add notes that a table of v's type stands at path, with the given header, and
// returns where it is described.
func (w *walker) add(path, header string, v reflect.Value) int {
	if i, ok := w.index[v.Type()]; ok {
		w.tables[i].headers = append(w.tables[i].headers, header)
		return i
	}
	w.index[v.Type()] = len(w.tables)
	w.queue = append(w.queue, pending{path, v, len(w.tables)})
	w.tables = append(w.tables, table{headers: []string{header}, text: w.about(v.Type().Name())})
	return len(w.tables) - 1
}

func (w *walker) fill(p pending) {
	rows := w.rows(p.path, "", p.value, map[reflect.Type][]int{})
	w.tables[p.into].rows = rows
}

// rows lists the keys of v. Those of a struct that stands in v more than once,
// with different prefixes, share their rows; shared has where these begin.
func (w *walker) rows(path, prefix string, v reflect.Value, shared map[reflect.Type][]int) []row {
	var rows []row
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		name, option, _ := strings.Cut(f.Tag.Get("toml"), ",")
		if option != "prefix" {
			rows = append(rows, w.row(joined(path, prefix+name), prefix+name, f, t.Name(), v.Field(i)))
			continue
		}
		inner := w.rows(path, prefix+name, v.Field(i), shared)
		if first, ok := shared[f.Type]; ok {
			for j, in := range inner {
				r := &rows[first[0]+j]
				r.paths, r.names = append(r.paths, in.paths...), append(r.names, in.names...)
			}
			continue
		}
		shared[f.Type] = []int{len(rows)}
		rows = append(rows, inner...)
	}
	return rows
}

func (w *walker) row(path, name string, f reflect.StructField, owner string, v reflect.Value) row {
	text := w.plain(w.fields[owner][f.Name])
	r := row{paths: []string{path}, names: []string{name}}
	element, header := f.Type, "["+path+"]"
	switch f.Type.Kind() {
	case reflect.Slice:
		element, header = f.Type.Elem(), "[["+path+"]]"
	case reflect.Map:
		element, header = f.Type.Elem(), "["+path+".NAME]"
		path += ".NAME"
	}
	if element.Kind() == reflect.Struct && tagged(element) {
		value := reflect.New(element).Elem()
		switch {
		case element == f.Type:
			value = v
		case f.Type.Kind() == reflect.Slice && v.Len() > 0:
			value = v.Index(0)
		}
		r.typ, r.below = header, w.add(path, header, value)
	} else {
		r.typ, r.def = typeName(f.Type), defaultOf(v)
	}
	r.text = withoutDefault(text, v)
	return r
}

// tagged reports whether the fields of t are keys; other structs are values that are
// written in a form of their own.
func tagged(t reflect.Type) bool {
	for i := range t.NumField() {
		if _, ok := t.Field(i).Tag.Lookup("toml"); ok {
			return true
		}
	}
	return false
}

func typeName(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[config.Duration]():
		return `duration, "1h30m"`
	case reflect.TypeFor[config.Seconds]():
		return "number, seconds"
	case reflect.TypeFor[config.Lifetime]():
		return `days, "30d"`
	case reflect.TypeFor[config.Strings]():
		return "text, or list of texts"
	case reflect.TypeFor[job.Secret]():
		return "text, secret"
	case reflect.TypeFor[config.CABundle]():
		return "text, or a table"
	case reflect.TypeFor[time.Time]():
		return "time"
	case reflect.TypeFor[config.Optional[bool]]():
		return "true or false"
	case reflect.TypeFor[config.Optional[int64]]():
		return "number"
	case reflect.TypeFor[config.Optional[string]]():
		return "text"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "number"
	case reflect.Slice:
		return "list of " + typeName(t.Elem()) + "s"
	case reflect.Map:
		return "table: name = " + typeName(t.Elem())
	}
	return "text"
}

// defaultOf writes v as the file would; "" when that is nothing.
func defaultOf(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case config.Duration:
		return fmt.Sprintf("%q", shortDuration(x.Duration()))
	case config.Seconds:
		return fmt.Sprint(int64(x.Duration() / time.Second))
	case config.Lifetime:
		return "0"
	case time.Time, job.Secret:
		return ""
	}
	switch v.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int64:
		return fmt.Sprint(v.Interface())
	case reflect.String:
		if v.String() != "" {
			return fmt.Sprintf("%q", v.String())
		}
	}
	return ""
}

// shortDuration leaves out what is zero: 1h, not 1h0m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// withoutDefault takes the default off the end of a comment ("…; 3 s"): it has a
// column of its own.
func withoutDefault(text string, v reflect.Value) string {
	before, last := cutLast(text)
	said := strings.Trim(last, "`")
	if same := said == fmt.Sprint(v.Interface()) || said == defaultOf(v) || said == strings.Trim(defaultOf(v), `"`); same && last != "" {
		return before
	}
	d, err := time.ParseDuration(strings.ReplaceAll(last, " ", ""))
	if err != nil {
		return text
	}
	switch x := v.Interface().(type) {
	case config.Duration:
		if x.Duration() == d {
			return before
		}
	case config.Seconds:
		if x.Duration() == d {
			return before
		}
	}
	return text
}

func cutLast(text string) (before, last string) {
	i := strings.LastIndex(text, "; ")
	if i < 0 {
		return "", text
	}
	return text[:i], text[i+2:]
}

func joined(path, name string) string { return strings.TrimPrefix(cmp.Or(path, "")+"."+name, ".") }

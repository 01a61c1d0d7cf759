package job

import (
	"fmt"
	"reflect"
	"strconv"
)

// Reveal returns the texts of all Secrets in v, by their places. JSON of v does
// not show them; together with this map it is whole, for the one place that has
// to keep it. Secrets are looked for in structs, pointers and slices.
func Reveal(v any) map[string]string {
	found := map[string]string{}
	walkSecrets(reflect.ValueOf(v), "", func(place string, secret reflect.Value) {
		if text := secret.String(); text != "" {
			found[place] = text
		}
	})
	return found
}

// Conceal puts texts that Reveal has returned back into v, a pointer. A text
// whose place v does not have is an error: something of v is missing.
func Conceal(v any, texts map[string]string) error {
	placed := 0
	walkSecrets(reflect.ValueOf(v), "", func(place string, secret reflect.Value) {
		text, ok := texts[place]
		if ok {
			placed++
		}
		secret.SetString(text)
	})
	if placed < len(texts) {
		return fmt.Errorf("%d of %d secrets have no place", len(texts)-placed, len(texts))
	}
	return nil
}

var secretType = reflect.TypeFor[Secret]()

func walkSecrets(v reflect.Value, place string, visit func(place string, secret reflect.Value)) {
	switch {
	case v.Kind() == reflect.String:
		if v.Type() == secretType {
			visit(place, v)
		}
	case v.Kind() == reflect.Pointer && !v.IsNil():
		walkSecrets(v.Elem(), place, visit)
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if field := v.Type().Field(i); field.IsExported() {
				walkSecrets(v.Field(i), place+"."+field.Name, visit)
			}
		}
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			walkSecrets(v.Index(i), place+"."+strconv.Itoa(i), visit)
		}
	}
}

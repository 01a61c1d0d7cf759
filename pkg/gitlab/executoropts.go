package gitlab

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
)

// executorOpts reads an image's executor_opts: the user for Kubernetes, and
// the keys that no runner knows, for example "kubernetes.group". What is meant
// for Docker is known and not for us.
func executorOpts(raw json.RawMessage) (user string, unsupported []string) {
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return "", nil
	}
	var executors map[string]json.RawMessage
	if json.Unmarshal(raw, &executors) != nil {
		return "", []string{"executor_opts"}
	}
	for _, name := range slices.Sorted(maps.Keys(executors)) {
		known := map[string][]string{"docker": {"platform", "user"}, "kubernetes": {"user"}}[name]
		if known == nil {
			unsupported = append(unsupported, name)
			continue
		}
		var options map[string]text
		if json.Unmarshal(executors[name], &options) != nil {
			unsupported = append(unsupported, unreadable(name, executors[name], known)...)
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(options)) {
			switch {
			case !slices.Contains(known, key):
				unsupported = append(unsupported, name+"."+key)
			case name == "kubernetes":
				user = string(options[key])
			}
		}
	}
	return user, unsupported
}

// unreadable names what is wrong in an executor's options: the keys nobody
// knows and the values that are neither text nor number.
func unreadable(name string, raw json.RawMessage, known []string) []string {
	var options map[string]json.RawMessage
	if json.Unmarshal(raw, &options) != nil {
		return []string{name}
	}
	var bad []string
	for _, key := range slices.Sorted(maps.Keys(options)) {
		var value text
		if !slices.Contains(known, key) || json.Unmarshal(options[key], &value) != nil {
			bad = append(bad, name+"."+key)
		}
	}
	return bad
}

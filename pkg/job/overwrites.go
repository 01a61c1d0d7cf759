package job

import (
	"maps"
	"slices"
	"strings"
)

// An Overwrite is a variable by which a job asks for another pod than the
// runner's config makes.
type Overwrite struct {
	Key, Value string // of the variable, expanded
	Setting    string // the key of [runners.kubernetes] that it replaces or, node_selector for one, adds to
	Service    int    // position in Plan.Services of the service whose variable it is; -1 for the job's
}

const overwritePrefix = "KUBERNETES_"

// replacing are the overwrites that have another name than the setting.
var replacing = map[string]string{
	"NAMESPACE_OVERWRITE":       "namespace",
	"SERVICE_ACCOUNT_OVERWRITE": "service_account",
}

// adding are the beginnings of names that the job completes, to have several.
var adding = []string{"NODE_SELECTOR_", "NODE_TOLERATIONS_", "POD_LABELS_", "POD_ANNOTATIONS_"}

// overwrites picks the overwrites out of expanded variables, and out of those of
// services, which can only speak of their own container. They come in the order
// of their keys. An empty value asks for nothing.
func overwrites(vars []Variable, services []Service) []Overwrite {
	list := overwritesOf(vars, -1)
	for i, s := range services {
		for _, o := range overwritesOf(s.Variables, i) {
			if strings.HasPrefix(o.Setting, "service_") && o.Setting != "service_account" {
				list = append(list, o)
			}
		}
	}
	return list
}

func overwritesOf(vars []Variable, service int) []Overwrite {
	last := map[string]string{}
	for _, v := range vars {
		last[v.Key] = v.Value
	}
	var list []Overwrite
	for _, key := range slices.Sorted(maps.Keys(last)) {
		name, ok := strings.CutPrefix(key, overwritePrefix)
		if setting := overwritten(name); ok && setting != "" && last[key] != "" {
			list = append(list, Overwrite{Key: key, Value: last[key], Setting: setting, Service: service})
		}
	}
	return list
}

// overwritten returns the setting that a variable replaces, "" for none;
// name is without its prefix.
func overwritten(name string) string {
	if setting := replacing[name]; setting != "" {
		return setting
	}
	for _, prefix := range adding {
		if strings.HasPrefix(name, prefix) {
			return strings.ToLower(strings.TrimSuffix(prefix, "_"))
		}
	}
	if isAmount(name) {
		return strings.ToLower(name)
	}
	return ""
}

// isAmount reports whether name is a quantity of the build container or, with a
// prefix, of another or the pod, which has no ephemeral storage.
func isAmount(name string) bool {
	amount, ofPod := strings.CutPrefix(name, "POD_")
	for _, other := range []string{"HELPER_", "SERVICE_"} {
		if rest, ok := strings.CutPrefix(name, other); ok {
			amount = rest
		}
	}
	switch amount {
	case "CPU_REQUEST", "CPU_LIMIT", "MEMORY_REQUEST", "MEMORY_LIMIT":
		return true
	case "EPHEMERAL_STORAGE_REQUEST", "EPHEMERAL_STORAGE_LIMIT":
		return !ofPod
	}
	return false
}

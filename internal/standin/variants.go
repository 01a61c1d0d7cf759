package standin

import "strings"

// OddPayloads returns changes to a payload that a client has to take (14.11):
// values for JobSpec.Mutate, by name.
func OddPayloads() map[string]func(payload map[string]any) {
	lists := []string{"hooks", "services", "artifacts", "cache", "credentials", "dependencies", "inputs"}
	return map[string]func(map[string]any){
		"null lists": func(p map[string]any) {
			for _, k := range lists {
				p[k] = nil
			}
		},
		"missing lists": func(p map[string]any) {
			for _, k := range lists {
				delete(p, k)
			}
		},
		"empty lists": func(p map[string]any) {
			for _, k := range lists {
				p[k] = []any{}
			}
		},
		"null objects": func(p map[string]any) {
			for _, k := range []string{"features", "secrets", "policy_options", "suspend_options"} {
				p[k] = nil
			}
		},
		"no features": func(p map[string]any) { delete(p, "features") },
		"unknown fields": func(p map[string]any) {
			p["shiny"] = map[string]any{"new": []any{1, "two", nil}}
			for _, k := range []string{"job_info", "git_info", "runner_info", "features", "image"} {
				if m, ok := p[k].(map[string]any); ok {
					m["shiny"] = true
				}
			}
		},
		"null fields of the image": func(p map[string]any) {
			if m, ok := p["image"].(map[string]any); ok {
				m["entrypoint"], m["ports"], m["executor_opts"], m["pull_policy"] = nil, nil, nil, nil
			}
		},
		"names with spaces and Unicode": func(p map[string]any) {
			if m, ok := p["job_info"].(map[string]any); ok {
				m["name"], m["stage"] = "prüfen: alle 測試 2/4 \"x\"", "à la carte"
			}
		},
		"variable of 1 MB": func(p map[string]any) {
			addVariable(p, "BIG", strings.Repeat("0123456789abcdef", 1<<16))
		},
		"repeated keys": func(p map[string]any) {
			addVariable(p, "TWICE", "first")
			addVariable(p, "TWICE", "second")
		},
	}
}

func addVariable(p map[string]any, key, value string) {
	list, _ := p["variables"].([]any)
	p["variables"] = append(list, map[string]any{"key": key, "value": value, "public": true, "masked": false})
}

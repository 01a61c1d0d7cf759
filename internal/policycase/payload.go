package policycase

import (
	"bytes"
	"cmp"
	_ "embed" // the ordinary job
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
)

//go:embed payload.json
var ordinary []byte

// Payload returns the payload of c's job, as GitLab would send it. base is the
// file of the ordinary job; "" means the built-in one.
func (c Case) Payload(base string) ([]byte, error) {
	text := ordinary
	if base != "" {
		var err error
		if text, err = os.ReadFile(base); err != nil {
			return nil, err
		}
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var payload map[string]any
	if err := decoder.Decode(&payload); err != nil || payload == nil {
		return nil, fmt.Errorf("%s: not a job's payload, which is a JSON object (%w)", base, err)
	}
	for _, path := range c.Remove {
		if !has(payload, strings.Split(path, ".")) && !has(c.Merge, strings.Split(path, ".")) {
			return nil, fmt.Errorf("remove: there is no %q in the payload; write a path such as \"git_info.protected\"", path)
		}
	}
	c.Apply(payload)
	return json.Marshal(payload)
}

func has(in map[string]any, path []string) bool {
	inner, ok := in[path[0]]
	if !ok || len(path) == 1 {
		return ok
	}
	object, ok := inner.(map[string]any)
	return ok && has(object, path[1:])
}

// Apply makes the payload of an ordinary job that of c's job.
func (c Case) Apply(payload map[string]any) {
	p := editor{payload}
	j := c.Job
	p.set("job_info", "project_full_path", j.Project)
	p.server("CI_PROJECT_PATH", j.Project)
	p.set("job_info", "name", j.Name)
	p.server("CI_JOB_NAME", j.Name)
	p.set("job_info", "stage", j.Stage)
	p.ref(j, c.kind())
	p.server("CI_PIPELINE_SOURCE", cmp.Or(j.Source, "push"))
	p.server("GITLAB_USER_LOGIN", cmp.Or(j.User, "dev"))
	if j.UserID != 0 {
		p.object("job_info")["user_id"] = j.UserID
	}
	p.server("CI_ENVIRONMENT_NAME", j.Environment)
	p.set("image", "name", j.Image)
	if j.Services != nil {
		services := []any{}
		for _, name := range j.Services {
			services = append(services, map[string]any{"name": name})
		}
		payload["services"] = services
	}
	for _, v := range c.Variables {
		p.add(v.Key, v.Value)
	}
	merge(payload, c.Merge)
	for _, path := range c.Remove {
		remove(payload, strings.Split(path, "."))
	}
}

// An editor changes a payload.
type editor struct{ payload map[string]any }

func (p editor) object(name string) map[string]any {
	o, ok := p.payload[name].(map[string]any)
	if !ok {
		o = map[string]any{}
		p.payload[name] = o
	}
	return o
}

func (p editor) set(object, key, value string) {
	if value != "" {
		p.object(object)[key] = value
	}
}

// server sets a variable of GitLab's own: the first of its name.
func (p editor) server(key, value string) {
	if value == "" {
		return
	}
	list, _ := p.payload["variables"].([]any)
	for _, v := range list {
		if v, ok := v.(map[string]any); ok && v["key"] == key {
			v["value"] = value
			return
		}
	}
	p.add(key, value)
}

func (p editor) add(key, value string) {
	list, _ := p.payload["variables"].([]any)
	p.payload["variables"] = append(list, map[string]any{"key": key, "value": value, "public": true})
}

// ref sets what GitLab says of a ref, in all the places where it says it.
func (p editor) ref(j Job, kind string) {
	git := p.object("git_info")
	if j.Protected != nil {
		git["protected"] = *j.Protected
		p.server("CI_COMMIT_REF_PROTECTED", strconv.FormatBool(*j.Protected))
	}
	if j.Ref == "" {
		return
	}
	name := j.Ref
	if j.RefKind == "" {
		name = strings.TrimPrefix(name, "refs/tags/")
	}
	refspecs := []any{"+8c1fa0b7d25a4e91b3c6d7e8f90123456789abcd:refs/pipelines/5012"}
	git["ref_type"] = "branch"
	switch kind {
	case "tag":
		git["ref_type"] = "tag"
		refspecs = append(refspecs, "+refs/tags/"+name+":refs/tags/"+name)
	case "branch":
		refspecs = append(refspecs, "+refs/heads/"+name+":refs/remotes/origin/"+name)
	case "merge_request":
		source := p.object("job_info")["project_id"]
		if j.Fork {
			source = "999"
		}
		p.server("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", fmt.Sprint(source))
	}
	git["ref"], git["refspecs"] = name, refspecs
	p.server("CI_COMMIT_REF_NAME", name)
}

// merge is RFC 7386.
func merge(into, patch map[string]any) {
	for key, value := range patch {
		inner, isObject := value.(map[string]any)
		target, both := into[key].(map[string]any)
		switch {
		case isObject && both:
			merge(target, inner)
		default:
			into[key] = value
		}
	}
}

func remove(from map[string]any, path []string) {
	inner, ok := from[path[0]].(map[string]any)
	if ok && len(path) > 1 {
		remove(inner, path[1:])
		return
	}
	delete(from, path[0])
}

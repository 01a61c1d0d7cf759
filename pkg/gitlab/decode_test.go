package gitlab

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerd/runnerd/pkg/job"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestDecodeExamples(t *testing.T) {
	for _, name := range []string{"simple", "rich"} {
		t.Run(name, func(t *testing.T) {
			body, err := os.ReadFile("testdata/" + name + ".json")
			if err != nil {
				t.Fatal(err)
			}
			j, err := DecodeJob(body)
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.MarshalIndent(j, "", "\t")
			if err != nil {
				t.Fatal(err)
			}
			golden := "testdata/" + name + ".golden"
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("job (-want +got):\n%s", diff)
			}
			if j.Token.Reveal() != job.Value(j.Variables, "CI_JOB_TOKEN") {
				t.Errorf("token %q differs from CI_JOB_TOKEN", j.Token.Reveal())
			}
		})
	}
}

// decode reads a payload of an id, a token and what the test is about.
func decode(t *testing.T, more string) *job.Job {
	t.Helper()
	j, err := decodeJob([]byte(`{"id": 1, "token": "t", ` + more + `}`))
	if err != nil {
		t.Fatalf("decode %s: %v", more, err)
	}
	return j
}

func TestNullIsNothing(t *testing.T) {
	keys := []string{
		"allow_git_fetch", "job_info", "git_info", "runner_info", "inputs", "variables", "steps", "run", "hooks",
		"image", "services", "artifacts", "cache", "credentials", "dependencies", "features", "secrets",
	}
	want := decode(t, `"unknown": {"a": [1]}`)
	for _, key := range keys {
		got := decode(t, `"`+key+`": null`)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: null differs from absent (-absent +null):\n%s", key, diff)
		}
	}
}

func TestRefProtected(t *testing.T) {
	const yes, no = `{"key": "CI_COMMIT_REF_PROTECTED", "value": "true"}`, `{"key": "CI_COMMIT_REF_PROTECTED", "value": "false"}`
	tests := []struct {
		payload string
		want    job.Tristate
	}{
		{`"git_info": {"protected": true}`, job.True},
		{`"git_info": {"protected": false}, "variables": [` + yes + `]`, job.False},
		{`"variables": [` + no + `, ` + yes + `]`, job.False}, // a user's variable comes later
		{`"variables": [` + yes + `, ` + no + `]`, job.Unset}, // one of them is not GitLab's
		{`"git_info": {"protected": null}, "variables": [` + yes + `]`, job.True},
		{`"variables": [{"key": "CI_COMMIT_REF_PROTECTED", "value": "what"}]`, job.Unset},
		{`"variables": []`, job.Unset},
	}
	for _, tt := range tests {
		if got := decode(t, tt.payload).Git.Protected; got != tt.want {
			t.Errorf("%s: %v, want %v", tt.payload, got, tt.want)
		}
	}
}

func TestTimeout(t *testing.T) {
	tests := map[string]time.Duration{
		"3600": time.Hour, `"90"`: 90 * time.Second, "0": 2 * time.Hour, "-5": 2 * time.Hour, "null": 2 * time.Hour,
		"1e300": 1e9 * time.Second,
	}
	for text, want := range tests {
		if got := decode(t, `"runner_info": {"timeout": `+text+`}`).Timeout; got != want {
			t.Errorf("timeout %s: %s, want %s", text, got, want)
		}
	}
}

func TestExecutorOpts(t *testing.T) {
	tests := []struct {
		opts        string
		user        string
		unsupported []string
	}{
		{opts: `null`},
		{opts: `{}`},
		{opts: `{"kubernetes": {"user": 1000}}`, user: "1000"},
		{opts: `{"kubernetes": {"user": "1000:100"}}`, user: "1000:100"},
		{opts: `{"docker": {"user": "me", "platform": "linux/arm64"}}`},
		{opts: `{"docker": null}`},
		{opts: `{"kubernetes": {"user": 1, "group": 2}, "vm": {}}`, user: "1", unsupported: []string{"kubernetes.group", "vm"}},
		{opts: `{"kubernetes": {"user": {}}}`, unsupported: []string{"kubernetes.user"}},
		{opts: `{"kubernetes": []}`, unsupported: []string{"kubernetes"}},
		{opts: `[]`, unsupported: []string{"executor_opts"}},
	}
	for _, tt := range tests {
		got := decode(t, `"image": {"name": "a", "executor_opts": `+tt.opts+`}`).Image
		want := job.Image{Name: "a", User: tt.user, Unsupported: tt.unsupported}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.opts, diff)
		}
	}
}

func TestLenientValues(t *testing.T) {
	j := decode(t, `"run": "[{\"name\":\"a\"}]", "variables": [{"key": "N", "value": 5}, {"key": "E", "value": null}],
		"image": {"name": null, "pull_policy": "always"}, "services": [{"name": "a", "alias": "b, c\td"}], "job_info": {"queue_size": -1}`)
	got := []any{j.Run, j.Variables[0].Value, j.Variables[1].Value, j.Image.PullPolicies, j.Services[0].Aliases, j.QueueSize}
	want := []any{`[{"name":"a"}]`, "5", "", []string{"always"}, []string{"b", "c", "d"}, 0}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
}

func TestSalvage(t *testing.T) {
	whole, err := os.ReadFile("testdata/simple.json")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		body string
		ok   bool
	}{
		{name: "broken off", body: string(whole[:len(whole)/2]), ok: true},
		{name: "a wrong type", body: strings.Replace(string(whole), `"steps": [`, `"steps": 7, "x": [`, 1), ok: true},
		{name: "token last", body: `{"steps": 1, "id": 90211, "job_info": {"id": 3}, "token": "glcbt-64_Qx3yV0m7uTzR1aKfN2pW"}`, ok: true},
		{name: "broken off in the token", body: `{"id": 90211, "token": "glcbt-64_Qx`},
		{name: "a page", body: "<html>"},
		{name: "nothing"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := decodeJob([]byte(tt.body)); err == nil {
				t.Error("payload was taken")
			}
			who, ok := salvage([]byte(tt.body))
			if ok != tt.ok {
				t.Fatalf("salvaged: %v, want %v", ok, tt.ok)
			}
			if ok && (who.ID != 90211 || who.Token.Reveal() != "glcbt-64_Qx3yV0m7uTzR1aKfN2pW") {
				t.Errorf("got job %d, token %q", who.ID, who.Token.Reveal())
			}
		})
	}
}

func FuzzDecodeJob(f *testing.F) {
	for _, name := range []string{"simple", "rich"} {
		body, err := os.ReadFile("testdata/" + name + ".json")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
		f.Add(body[:len(body)/2])
		f.Add(bytes.ReplaceAll(body, []byte("{"), []byte("[")))
	}
	f.Add([]byte(`{"id": 1, "token": "t", "runner_info": {"timeout": 1e308}, "image": {"executor_opts": {"kubernetes": 1}}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		j, err := decodeJob(body)
		who, ok := salvage(body)
		if err != nil {
			return
		}
		if j.ID <= 0 || j.Token == "" || j.Timeout <= 0 || j.QueueTime < 0 || j.Git.Depth < 0 {
			t.Errorf("impossible job: %+v", j)
		}
		// Duplicate or differently spelled keys aside, both readers agree.
		if ok && (who.ID <= 0 || who.Token == "") {
			t.Errorf("salvaged nothing: %+v", who)
		}
	})
}

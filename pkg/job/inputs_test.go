package job

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func testInputs() []Input {
	return []Input{
		{Key: "tag", Type: InputString, Content: `"1.2 $X ${{ job.inputs.n }}"`},
		{Key: "n", Type: InputNumber, Content: " 42.50 "},
		{Key: "yes", Type: InputBoolean, Content: "true"},
		{Key: "list", Type: InputArray, Content: `["a", 1]`},
		{Key: "map-1", Type: InputStruct, Content: `{"k": "v"}`},
		{Key: "token", Type: InputString, Content: `"s3cret"`, Sensitive: true},
		{Key: "odd", Type: InputNumber, Content: `"7"`},
		{Key: "future", Type: "date", Content: `"7"`},
	}
}

func TestReplace(t *testing.T) {
	tests := []struct{ text, want, failure string }{
		{text: "plain", want: "plain"},
		{text: "a ${{ job.inputs.tag }} b", want: "a 1.2 $X ${{ job.inputs.n }} b"}, // a value is not looked at again
		{text: "${{job.inputs.n}}${{\tjob.inputs.yes\n}}", want: "42.50true"},
		{text: "${{ job.inputs.list }} ${{ job.inputs.map-1 }}", want: `["a",1] {"k":"v"}`},
		{text: "${{ github.sha }} ${{", want: "${{ github.sha }} ${{"},
		{text: "${{ job.inputsX }}", want: "${{ job.inputsX }}"},
		{text: "${{ job.inputs.none }}", failure: `${{ job.inputs.none }}: the job has no input "none"`},
		{text: "${{ job.inputs.token }}", failure: "sensitive"},
		{text: "${{ job.inputs.odd }}", failure: `not of its type "number"`},
		{text: "${{ job.inputs.future }}", failure: `not of its type "date"`},
		{text: "${{ job.inputs.n", failure: "has no end"},
		{text: "${{ job.inputs }}", failure: "not understood"},
		{text: "${{ job.inputs.n | x }}", failure: "not understood"},
		{text: "${{ job.inputs. }}", failure: "not understood"},
	}
	for _, tt := range tests {
		j, err := interpolate(&Job{Inputs: testInputs(), Image: Image{Name: tt.text}}, map[string]bool{flagInputs: true})
		if tt.failure != "" {
			var failure *Failure
			if !errors.As(err, &failure) || failure.Reason != RunnerConfigurationError || !strings.Contains(err.Error(), tt.failure) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%q: %v, want %q", tt.text, err, tt.failure)
			}
			continue
		}
		if err != nil || j.Image.Name != tt.want {
			t.Errorf("%q: %v, %v, want %q", tt.text, j, err, tt.want)
		}
	}
}

// TestInterpolatedPlaces: all that the specification lists, and nothing else.
func TestInterpolatedPlaces(t *testing.T) {
	const e, v = "${{ job.inputs.n }}", "42.50"
	build := func(in, out string) *Job {
		image := Image{Name: in, Entrypoint: []string{in}, PullPolicies: []string{in}, User: in}
		return &Job{
			Name: out, Inputs: testInputs(), Image: image,
			Variables: []Variable{{Key: "V", Value: out}},
			Steps:     []Step{{Name: "script", Script: []string{in}}, {Name: "release", Script: []string{out}}, {Name: StepAfterScript, Script: []string{in}}},
			Hooks:     []Hook{{Script: []string{out}}},
			Services:  []Service{{Image: image, Command: []string{in}, Aliases: []string{out}, Variables: []Variable{{Key: "V", Value: out}}}},
			Artifacts: []Artifact{{Name: in, Paths: []string{in}, Exclude: []string{in}, When: in, ExpireIn: in, Type: out, Format: out}},
			Caches:    []Cache{{Key: in, Mode: in, Paths: []string{in}, When: in, FallbackKeys: []string{in}}},
		}
	}
	j := build(e, e)
	got, err := interpolate(j, map[string]bool{flagInputs: true})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(build(v, e), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(build(e, e), j); diff != "" {
		t.Errorf("the job itself has changed:\n%s", diff)
	}
	if off, err := interpolate(j, map[string]bool{}); err != nil || off != j {
		t.Errorf("with the flag off: %v, %v", off, err)
	}
}

func FuzzInterpolate(f *testing.F) {
	f.Add("a ${{ job.inputs.n }} b", InputString, `"x"`)
	f.Add("${{ job.inputs.n", InputNumber, "1")
	f.Add("${{${{ job.inputs.n}}}}", InputStruct, `{"a": [1]}`)
	f.Fuzz(func(t *testing.T, text, kind, content string) {
		j := &Job{Image: Image{Name: text}, Inputs: []Input{{Key: "n", Type: kind, Content: content}}}
		got, err := interpolate(j, map[string]bool{flagInputs: true})
		var failure *Failure
		switch {
		case err != nil && (!errors.As(err, &failure) || failure.Reason != RunnerConfigurationError || len(err.Error()) > 1000):
			t.Errorf("%q: %v", text, err)
		case err == nil && !strings.Contains(text, "job.inputs") && got.Image.Name != text:
			t.Errorf("%q became %q", text, got.Image.Name)
		case j.Image.Name != text:
			t.Error("the job itself has changed")
		}
	})
}

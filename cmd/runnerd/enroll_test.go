package main

import (
	"reflect"
	"strings"
	"testing"
)

func TestQuestion(t *testing.T) {
	tests := []struct {
		name    string
		flags   registerFlags
		answers string
		want    registerFlags
		asked   string
	}{
		{
			name: "everything", answers: "https://gitlab.example.com\n glrt-x \n\n\n",
			want:  registerFlags{url: "https://gitlab.example.com", token: "glrt-x", name: "host", namespace: "default"},
			asked: "Address of GitLab (https://gitlab.example.com): Runner authentication token (glrt-…): Name of the runner [host]: Namespace of the job pods [default]: ",
		},
		{
			name:  "flags are not asked for",
			flags: registerFlags{url: "u", legacyToken: "GR", name: "n"}, answers: "ci\n",
			want:  registerFlags{url: "u", legacyToken: "GR", name: "n", namespace: "ci"},
			asked: "Namespace of the job pods [default]: ",
		},
		{
			name:  "a template answers for name and namespace",
			flags: registerFlags{url: "u", token: "t", template: "file"},
			want:  registerFlags{url: "u", token: "t", template: "file"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			a := &app{stdin: strings.NewReader(tt.answers), stdout: &out}
			got := tt.flags
			if err := a.question(&got, "host"); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("flags = %+v, want %+v", got, tt.want)
			}
			if out.String() != tt.asked {
				t.Errorf("asked %q, want %q", out.String(), tt.asked)
			}
		})
	}
}

func TestQuestionWithoutAnswer(t *testing.T) {
	a := &app{stdin: strings.NewReader("https://gitlab.example.com\n"), stdout: &strings.Builder{}}
	if err := a.question(&registerFlags{}, "host"); err == nil {
		t.Error("question returned no error at the end of its input")
	}
}

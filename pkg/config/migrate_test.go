package config

import (
	"strings"
	"testing"
)

// TestMigrated: what GitLab Runner takes and runnerd cannot do is said when the file
// is read, not by the first job.
func TestMigrated(t *testing.T) {
	const kubernetes = `
[[runners]]
url = "https://gitlab.example.com"
token = "glrt-x"
executor = "kubernetes"
[runners.kubernetes]
`
	tests := []struct{ name, text, problem, warning string }{
		{
			name: "a namespace with variables", text: `namespace = "ci-$CI_PROJECT_ID"`,
			problem: `config.toml:7: runners[0].kubernetes.namespace: "ci-$CI_PROJECT_ID": variables are not replaced here`,
		},
		{
			name: "no name of a namespace", text: `namespace = "CI"`,
			problem: `config.toml:7: runners[0].kubernetes.namespace: "CI": a lowercase RFC 1123 label`,
		},
		{
			name: "GitLab Runner's helper image", text: "namespace = \"ci\"\nhelper_image = \"registry.example.com/gitlab-org/gitlab-runner/gitlab-runner-helper:x86_64-v19.4.0\"",
			warning: `config.toml:8: runners[0].kubernetes.helper_image: `,
		},
		{
			name: "namespaces that nobody has listed", text: "namespace = \"ci\"\nnamespace_overwrite_allowed = \"^ci-\"",
			warning: `config.toml:8: runners[0].kubernetes.namespace_overwrite_allowed: `,
		},
		{name: "runnerd's helper image", text: "namespace = \"ci\"\nhelper_image = \"registry.example.com/ci/runnerd-helper:1\""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, warnings, err := Parse("config.toml", []byte(kubernetes+tt.text+"\n"))
			if problem := message(err); (problem == "") != (tt.problem == "") || !strings.HasPrefix(problem, tt.problem) {
				t.Errorf("problem %q, want %q", problem, tt.problem)
			}
			var warning string
			for _, w := range warnings {
				warning += w.String()
			}
			if (warning == "") != (tt.warning == "") || !strings.HasPrefix(warning, tt.warning) {
				t.Errorf("warning %q, want %q", warning, tt.warning)
			}
		})
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

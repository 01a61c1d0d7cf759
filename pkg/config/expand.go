package config

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/runnerd/runnerd/pkg/job"
)

// reference matches ${NAME}. A $ without braces stands for itself.
var reference = regexp.MustCompile(`\$\{([^}]*)\}`)

// expand replaces references to environment variables where GitLab Runner does.
func (c *Config) expand(r *report, lookup func(string) (string, bool)) {
	c.Tracing.expand(r, lookup)
	for i := range c.Runners {
		runner, path := &c.Runners[i], elementPath("runners", i)
		runner.URL = expandText(r, path+".url", runner.URL, lookup)
		runner.Token = job.Secret(expandText(r, path+".token", runner.Token.Reveal(), lookup))
		read := &runner.Policy.GitLab.Token
		*read = job.Secret(expandText(r, path+".policy.gitlab.token", read.Reveal(), lookup))
	}
}

// expandText reports variables that are not set and leaves their references.
func expandText(r *report, path, text string, lookup func(string) (string, bool)) string {
	var missing []string
	expanded := reference.ReplaceAllStringFunc(text, func(ref string) string {
		name := ref[2 : len(ref)-1]
		if value, ok := lookup(name); ok && name != "" {
			return value
		}
		missing = append(missing, fmt.Sprintf("%q", ref))
		return ref
	})
	if len(missing) > 0 {
		r.problem(path, "environment variable not set: %s; set it where runnerd is started, or write the value itself",
			strings.Join(missing, ", "))
	}
	return expanded
}

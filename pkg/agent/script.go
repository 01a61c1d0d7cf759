package agent

import (
	"strings"

	"github.com/runnerd/runnerd/pkg/job"
	"github.com/runnerd/runnerd/pkg/joblog"
)

// A script is one shell script in the making.
type script struct {
	shell  string
	dir    string     // where it runs
	assign []variable // set in the shell, because the environment cannot hold them
	debug  bool       // show each command as the shell runs it
}

// text returns the script that runs a step. All lines run in one shell, so
// that cd, variables and set persist; each is shown before it runs.
func (s *script) text(step job.BuildStep) string {
	var out strings.Builder
	s.head(&out)
	if step.Announce != "" {
		show(&out, joblog.Notice(step.Announce))
	}
	if s.debug {
		out.WriteString("set -x\n")
	}
	for _, line := range append(append([]string{step.Before}, step.Script...), step.After) {
		command(&out, line)
	}
	return out.String()
}

// head sets the shell up as GitLab Runner does.
func (s *script) head(out *strings.Builder) {
	out.WriteString("set -e\nset +C\n")
	if isBash(s.shell) {
		out.WriteString("set -o pipefail\n")
	} else {
		// A shell that does not know the option would end; so try it aside.
		out.WriteString("if (set -o pipefail) 2>/dev/null; then set -o pipefail; fi\n")
	}
	out.WriteString("trap 'exit 1' TERM\n")
	for _, v := range s.assign {
		out.WriteString(v.key + "=" + quote(v.value) + "\n")
	}
	out.WriteString("cd " + quote(s.dir) + "\n")
}

// command writes one command, preceded by what shows it.
func command(out *strings.Builder, line string) {
	if line == "" {
		return
	}
	line = strings.TrimSpace(line)
	if line == "" {
		show(out, "")
		return
	}
	show(out, joblog.Command(line))
	out.WriteString(line + "\n")
}

func show(out *strings.Builder, text string) {
	out.WriteString("printf '%s\\n' " + quote(text) + "\n")
}

package agent

import (
	"fmt"
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

	sections bool // FF_SCRIPT_SECTIONS: a command of several lines is a section of the log
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
	s.commands(&out, "section_pre_build_script", step.Before)
	s.commands(&out, "section_"+step.Name+"_step", step.Script...)
	s.commands(&out, "section_post_build_script", step.After)
	return out.String()
}

// commands writes commands, each in a section of its own where it has several
// lines and the job wants it; section is what their names begin with.
func (s *script) commands(out *strings.Builder, section string, lines ...string) {
	for i, line := range lines {
		line = strings.TrimSpace(line)
		if s.sections && strings.Contains(line, "\n") {
			fmt.Fprintf(out, "__runnerd_begin %s_%d\n", section, i)
			show(out, joblog.Notice("$ "+line))
			out.WriteString(line + "\n__runnerd_end\n")
			continue
		}
		command(out, lines[i])
	}
}

// sectionFunctions begin and end a section. A script that ends in the middle of
// one ends it as well, unless it has set an EXIT trap of its own.
const sectionFunctions = `__runnerd_section=
__runnerd_mark() {
  __runnerd_now=$(date +%s 2>/dev/null) || __runnerd_now=0
  printf "section_$1:$__runnerd_now:$__runnerd_section$2\r\033[0K"
}
__runnerd_begin() { __runnerd_section=$1; __runnerd_mark start '[hide_duration=true,collapsed=true]'; }
__runnerd_end() { [ -z "$__runnerd_section" ] || __runnerd_mark end; __runnerd_section=; }
trap __runnerd_end EXIT
`

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
	if s.sections {
		out.WriteString(sectionFunctions)
	}
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

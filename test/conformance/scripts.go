package conformance

import (
	"strings"
	"time"

	"github.com/runnerd/runnerd/internal/standin"
)

var scripts = []Row{
	{
		Name: "shell-bash", Spec: "10.5",
		Behaviour: "Scripts run in bash where there is one.",
		Job:       script(`test -n "$BASH_VERSION" && echo bash`),
		Want:      prints("bash"),
	},
	{
		Name: "shell-busybox", Spec: "10.5", On: ClusterOnly,
		Behaviour: "Without bash they run in sh: busybox.",
		Job:       in("busybox", `test -z "$BASH_VERSION" && echo sh`, "for i in 1 2; do echo $i; done"),
		Want:      prints("sh", "1", "2"),
	},
	{
		Name: "shell-only", Spec: "10.5", On: ClusterOnly,
		Behaviour: "An image with nothing but a shell is enough.",
		Job:       in("sh", "echo built in", "i=0; while [ $i -lt 2 ]; do echo $i; i=$((i+1)); done"),
		Want:      prints("built in", "0", "1"),
	},
	{
		Name: "errexit", Spec: "10.5",
		Behaviour: "A script ends with the first command that fails.",
		Job:       script("echo before", "false", "echo never"),
		Want:      Want{State: standin.Failed, Reason: "script_failure", Exit: 1, Lines: []string{"before"}, NoLines: []string{"never", "$ echo never"}},
	},
	{
		Name: "errexit-within-a-command", Spec: "10.5",
		Behaviour: "Lines of one command end it likewise.",
		Job:       script("echo before\nfalse\necho never"),
		Want:      Want{State: standin.Failed, Exit: 1, Lines: []string{"before"}, NoLines: []string{"never"}},
	},
	{
		Name: "errexit-conditions", Spec: "10.5",
		Behaviour: "A failure that a condition takes ends nothing.",
		Job:       script("false || echo taken", "if false; then :; else echo otherwise; fi", "! true || true", "echo end"),
		Want:      prints("taken", "otherwise", "end"),
	},
	{
		Name: "errexit-off", Spec: "10.5",
		Behaviour: "set +e holds for the rest of the script.",
		Job:       script("set +e", "false", "echo went on"),
		Want:      prints("went on"),
	},
	{
		Name: "pipefail", Spec: "10.5",
		Behaviour: "A pipeline fails when one of its commands does.",
		Job:       script("(exit 7) | cat", "echo never"),
		Want:      Want{State: standin.Failed, Exit: 7, NoLines: []string{"never"}},
	},
	{
		Name: "pipefail-busybox", Spec: "10.5", On: ClusterOnly,
		Behaviour: "So it is in busybox, whose shell knows pipefail.",
		Job:       in("busybox", "(exit 7) | cat", "echo never"),
		Want:      Want{State: standin.Failed, Exit: 7, NoLines: []string{"never"}},
	},
	{
		Name: "noclobber", Spec: "10.5",
		Behaviour: "Redirections overwrite files.",
		Job:       script("echo one > out; echo two > out; cat out"),
		Want:      prints("two"),
	},
	{
		Name: "nounset-off", Spec: "10.5",
		Behaviour: "An unset variable is empty and no error.",
		Job:       script(`echo "[$NO_SUCH_THING]"`),
		Want:      prints("[]"),
	},
	{
		Name: "stdin", Spec: "10.5",
		Behaviour: "Standard input is empty: what reads it goes on.",
		Job:       script("cat | wc -c", `read x || echo "nothing to read"`, "test -t 0 || echo no terminal"),
		Want:      prints("0", "nothing to read", "no terminal"),
	},
	{
		Name: "one-shell", Spec: "10.5",
		Behaviour: "All commands run in one shell: directory, variables and functions persist.",
		Job:       script("cd lib; here=$PWD", "greet() { echo \"hi $1\"; }", `test "$here" = "$PWD" && greet you`),
		Want:      prints("hi you"),
	},
	{
		Name: "multi-line", Spec: "10.5",
		Behaviour: "A command may have several lines.",
		Job:       script("for i in 1 2; do\n  echo \"line $i\"\ndone\necho done"),
		Want:      prints("line 1", "line 2", "done"),
	},
	{
		Name: "heredoc", Spec: "10.5",
		Behaviour: "A here document is taken as it is, indentation and quotes too.",
		Job:       script("cat > out <<'EOT'\n  indented $NOT 'quoted'\n\\t\nEOT\ncat out"),
		Want:      prints("  indented $NOT 'quoted'", `\t`),
	},
	{
		Name: "line-continuation", Spec: "10.5",
		Behaviour: "A backslash at the end of a line continues it.",
		Job:       script("echo one \\\n  two"),
		Want:      prints("one two"),
	},
	{
		Name: "comment", Spec: "10.5",
		Behaviour: "A command may be a comment.",
		Job:       script("# nothing", "echo end # of it"),
		Want:      prints("$ # nothing", "end"),
	},
	{
		Name: "command-empty", Spec: "10.5",
		Behaviour: "Empty commands do nothing.",
		Job:       script("", "  ", "echo end"),
		Want:      prints("end"),
	},
	{
		Name: "command-trimmed", Spec: "10.5",
		Behaviour: "Blanks around a command are neither shown nor run.",
		Job:       script("  echo trimmed  "),
		Want:      prints("$ echo trimmed", "trimmed"),
	},
	{
		Name: "command-long", Spec: "10.5",
		Behaviour: "A command may be longer than what a process can take as an argument.",
		Job:       script("x='"+strings.Repeat("y", 200_000)+"'", "echo ${#x}"),
		Want:      prints("200000"),
	},
	{
		Name: "commands-many", Spec: "10.5",
		Behaviour: "A thousand commands run in order.",
		Job:       script(append(append([]string{"n=0"}, strings.Split(strings.Repeat("n=$((n+1)) ", 1000), " ")...), "echo $n")...),
		Want:      prints("1000"),
	},
	{
		Name: "exit-in-the-middle", Spec: "10.5",
		Behaviour: "exit 0 ends the script, and the job succeeds.",
		Job:       script("echo before; exit 0", "echo never"),
		Want:      Want{Lines: []string{"before", "Job succeeded"}, NoLines: []string{"never"}},
	},
	{
		Name: "exec", Spec: "10.5",
		Behaviour: "A command may replace the shell; its exit code is the job's.",
		Job:       script("exec sh -c 'echo instead; exit 4'", "echo never"),
		Want:      Want{State: standin.Failed, Exit: 4, Lines: []string{"instead"}, NoLines: []string{"never"}},
	},
	{
		Name: "trap", Spec: "10.5",
		Behaviour: "A script's own trap runs at its end.",
		Job:       script("trap 'echo cleaned up' EXIT", "echo working"),
		Want:      prints("working", "cleaned up"),
	},
	{
		Name: "syntax-error", Spec: "10.5",
		Behaviour: "A syntax error fails the job with the shell's code and words.",
		Job:       script("if then fi"),
		Want:      Want{State: standin.Failed, Reason: "script_failure", Exit: 2, Says: []string{"syntax error"}},
	},
	{
		Name: "command-not-found", Spec: "7.4",
		Behaviour: "A program that is not there fails the job with code 127.",
		Job:       script("no-such-program --help"),
		Want:      Want{State: standin.Failed, Reason: "script_failure", Exit: 127, Says: []string{"no-such-program"}},
	},
	{
		Name: "command-not-executable", Spec: "7.4",
		Behaviour: "A file that is not executable fails the job with code 126.",
		Job:       script("./README.md"),
		Want:      failed(126),
	},
	{
		Name: "background-process", Spec: "10.5",
		Behaviour: "A process left in the background does not hold the job.",
		Job:       standin.JobSpec{Timeout: 90 * time.Second, Script: []string{"sleep 3600 &", "echo started"}},
		Want:      prints("started", "Job succeeded"),
	},
	{
		Name: "background-output", Spec: "10.5",
		Behaviour: "What a process in the background prints while the script runs is in the log.",
		Job:       script("(sleep 0.2; echo from behind) & wait"),
		Want:      prints("from behind"),
	},
	{
		Name: "zombies", Spec: "10.5", On: ClusterOnly,
		Behaviour: "Processes whose parent is gone are reaped.",
		Job: script("for i in 1 2 3 4 5; do (sleep 0.1 & ) ; done",
			"for try in $(seq 100); do n=$(cat /proc/[0-9]*/stat 2>/dev/null | grep -c '(sleep)\\|) Z ' || true); test $n = 0 && break; sleep 0.1; done; echo not reaped: $n"),
		Want: prints("not reaped: 0"),
	},
	{
		Name: "standard-files", Spec: "10.5",
		Behaviour: "/dev/stdout and /dev/stderr can be written by name.",
		Job:       script("echo out > /dev/stdout", "echo err > /dev/stderr"),
		Want:      prints("out", "err"),
	},
	{
		Name: "standard-files-of-a-user", Spec: "10.5", On: ClusterOnly,
		Behaviour: "So they can by the user of an image.",
		Job:       in("nonroot", "echo out > /dev/stdout", "echo err > /dev/stderr"),
		Want:      prints("out", "err"),
	},
	{
		Name: "home", Spec: "10.5",
		Behaviour: "HOME is a directory that can be written.",
		Job:       script(`touch "$HOME/file" && rm "$HOME/file" && echo home`),
		Want:      prints("home"),
	},
	{
		Name: "debug-trace", Spec: "9.4",
		Behaviour: "CI_DEBUG_TRACE shows every command as the shell runs it.",
		Job:       standin.JobSpec{Variables: vars("CI_DEBUG_TRACE", "true", "WHO", "you"), Script: []string{`echo "hi $WHO"`}},
		Want:      prints("+ echo 'hi you'", "hi you"),
	},
	{
		Name: "debug-trace-refused", Spec: "9.4", Site: "operator",
		Behaviour: "The operator can switch CI_DEBUG_TRACE off; the log says so.",
		Job:       standin.JobSpec{Variables: vars("CI_DEBUG_TRACE", "true", "WHO", "you"), Script: []string{`echo "hi $WHO"`}},
		Want:      Want{Says: []string{"debug_trace_disabled"}, Lines: []string{"hi you"}, NoLines: []string{"+ echo 'hi you'"}},
	},
	{
		Name: "operator-around-the-script", Spec: "10.5", Site: "operator",
		Behaviour: "The operator's pre_build_script and post_build_script run around the script, in its shell, and not around after_script.",
		Job:       standin.JobSpec{Script: []string{"echo shell: $operator_shell"}, AfterScript: []string{`echo "after: [$operator_shell]"`}},
		Want:      prints("operator before the script", "shell: same", "operator behind the script", "after: []"),
	},
	{
		Name: "step-release", Spec: "3.6",
		Behaviour: "The release step runs behind the script, in a shell of its own, with its text expanded by the runner.",
		Job: standin.JobSpec{
			Variables: vars("NAME", "v1"),
			Steps: []standin.Step{
				{Name: "script", Script: []string{"NAME=shell; echo script"}}, {Name: "release", Script: []string{`echo 'release $NAME $$NAME'`}},
			},
		},
		Want: prints("script", `Executing "step_release" stage of the job script`, "release v1 $NAME"),
	},
	{
		Name: "step-release-skipped", Spec: "10.2",
		Behaviour: "A step is skipped when one before it failed.",
		Job: standin.JobSpec{Steps: []standin.Step{
			{Name: "script", Script: []string{"exit 3"}}, {Name: "release", Script: []string{"echo released"}}, {Name: "after_script", Script: []string{"echo behind"}},
		}},
		Want: Want{State: standin.Failed, Exit: 3, Lines: []string{"behind"}, NoLines: []string{"released"}},
	},
	{
		Name: "step-unknown", Spec: "3.6",
		Behaviour: "A step with an unknown name is run like release.",
		Job: standin.JobSpec{Steps: []standin.Step{
			{Name: "script", Script: []string{"echo script"}}, {Name: "polish", Script: []string{"echo polished"}},
		}},
		Want: prints("script", `Executing "step_polish" stage of the job script`, "polished"),
	},
	{
		Name: "step-ignored-fields", Spec: "3.6",
		Behaviour: "A step's own when, allow_failure and timeout have no effect.",
		Job: standin.JobSpec{Steps: []standin.Step{
			{Name: "script", Script: []string{"sleep 2; exit 3"}, Timeout: 1, AllowFailure: true, When: "always"},
			{Name: "release", Script: []string{"echo released"}, When: "always"},
		}},
		Want: Want{State: standin.Failed, Reason: "script_failure", Exit: 3, NoLines: []string{"released"}},
	},
	{
		Name: "script-timeout", Spec: "9.2",
		Behaviour: "RUNNER_SCRIPT_TIMEOUT ends the script, and after_script sees timedout.",
		Job: standin.JobSpec{
			Variables: vars("RUNNER_SCRIPT_TIMEOUT", "5s"), Script: []string{"echo begun; sleep 300"}, AfterScript: []string{`echo "status: $CI_JOB_STATUS"`},
		},
		Want: Want{State: standin.Failed, Reason: "job_execution_timeout", Lines: []string{"begun", "status: timedout"}},
	},
	{
		Name: "script-timeout-invalid", Spec: "9.2",
		Behaviour: "A RUNNER_SCRIPT_TIMEOUT that is no duration is told in the log and ignored.",
		Job:       standin.JobSpec{Variables: vars("RUNNER_SCRIPT_TIMEOUT", "soon")},
		Want:      Want{Says: []string{`RUNNER_SCRIPT_TIMEOUT="soon" is not valid`}, Lines: []string{"the script ran"}},
	},
	{
		Name: "script-timeout-too-long", Spec: "9.2",
		Behaviour: "A RUNNER_SCRIPT_TIMEOUT beyond the job's own is told in the log and cut.",
		Job:       standin.JobSpec{Variables: vars("RUNNER_SCRIPT_TIMEOUT", "30h")},
		Want:      Want{Says: []string{`RUNNER_SCRIPT_TIMEOUT="30h" is not valid`}, Lines: []string{"the script ran"}},
	},
}

// status prints what after_script is told of the job.
const status = `echo "status: $CI_JOB_STATUS"`

var after = []Row{
	{
		Name: "after-success", Spec: "10.1",
		Behaviour: "after_script runs behind a script that succeeded, and is told so.",
		Job:       standin.JobSpec{AfterScript: []string{status}},
		Want:      prints("the script ran", "Running after_script", "Running after script...", "status: success", "Job succeeded"),
	},
	{
		Name: "after-failure", Spec: "10.1",
		Behaviour: "after_script runs behind a script that failed, and is told so.",
		Job:       standin.JobSpec{Script: []string{"exit 9"}, AfterScript: []string{status}},
		Want:      failed(9, "status: failed"),
	},
	{
		Name: "after-new-shell", Spec: "10.5",
		Behaviour: "after_script has a new shell in the project directory.",
		Job:       standin.JobSpec{Script: []string{"cd lib; LOST=1; touch made"}, AfterScript: []string{`test "$PWD" = "$CI_PROJECT_DIR" && echo "[$LOST]"; ls lib/made`}},
		Want:      prints("[]", "lib/made"),
	},
	{
		Name: "after-fails", Spec: "10.2",
		Behaviour: "A failing after_script is told in the log and does not fail the job.",
		Job:       standin.JobSpec{AfterScript: []string{"exit 5"}},
		Want:      Want{Says: []string{"after_script failed, but job will continue unaffected"}, Lines: []string{"Job succeeded"}},
	},
	{
		Name: "after-must-succeed", Spec: "9.2",
		Behaviour: "With AFTER_SCRIPT_IGNORE_ERRORS=false it fails the job.",
		Job:       standin.JobSpec{Variables: vars("AFTER_SCRIPT_IGNORE_ERRORS", "false"), AfterScript: []string{"exit 5"}},
		Want:      failed(5),
	},
	{
		Name: "after-first-error-counts", Spec: "10.2",
		Behaviour: "A job that has failed keeps the exit code of its script.",
		Job:       standin.JobSpec{Variables: vars("AFTER_SCRIPT_IGNORE_ERRORS", "false"), Script: []string{"exit 3"}, AfterScript: []string{"exit 5"}},
		Want:      failed(3),
	},
	{
		Name: "after-timeout", Spec: "9.2",
		Behaviour: "RUNNER_AFTER_SCRIPT_TIMEOUT ends after_script; the job is not affected.",
		Job:       standin.JobSpec{Variables: vars("RUNNER_AFTER_SCRIPT_TIMEOUT", "5s"), AfterScript: []string{"echo begun; sleep 300"}},
		Want:      prints("begun", "Job succeeded"),
	},
	{
		Name: "after-job-timeout", Spec: "10.4",
		Behaviour: "When the job's timeout is over, after_script does not run.",
		Job:       standin.JobSpec{Timeout: 4 * time.Second, Script: []string{"sleep 300"}, AfterScript: []string{"echo after_script ran"}},
		Want:      Want{State: standin.Failed, Reason: "job_execution_timeout", Says: []string{"execution took longer than 4s seconds"}, NoLines: []string{"after_script ran"}},
	},
	{
		Name: "after-cancel", Spec: "4.7", CancelAt: "working",
		Behaviour: "A cancelled job's script is stopped, and after_script is told canceled.",
		Job:       standin.JobSpec{Script: []string{"echo working; sleep 300", "echo never"}, AfterScript: []string{status}},
		Want:      Want{State: standin.Canceled, Lines: []string{"status: canceled"}, NoLines: []string{"never"}},
	},
	{
		Name: "after-no-sources", Spec: "10.2",
		Behaviour: "Without sources neither script nor after_script runs.",
		Job:       standin.JobSpec{Hooks: []standin.Hook{{Name: "pre_get_sources_script", Script: []string{"false"}}}, AfterScript: []string{"echo after_script ran"}},
		Want:      Want{State: standin.Failed, Reason: "script_failure", NoLines: []string{"the script ran", "after_script ran"}},
	},
	{
		Name: "after-kills-background", Spec: "10.5",
		Behaviour: "after_script comes when the script is over, though a process of it still runs.",
		Job:       standin.JobSpec{Script: []string{"sleep 3600 &", "echo started"}, AfterScript: []string{status}},
		Want:      prints("started", "status: success"),
	},
	{
		Name: "after-empty", Spec: "10.1",
		Behaviour: "An empty after_script leaves no trace.",
		Job:       standin.JobSpec{AfterScript: []string{}},
		Want:      Want{Lines: []string{"the script ran"}, Lacks: []string{"Running after_script"}},
	},
}

package conformance

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/runnerd/runnerd/internal/standin"
)

var results = append([]Row{
	{
		Name: "success", Spec: "4.5",
		Behaviour: "A script that ends well makes the job succeed.",
		Job:       script("true"),
		Want:      prints("Job succeeded"),
	},
	{
		Name: "exit-code-1", Spec: "7.4",
		Behaviour: "A failing command is a script failure with its exit code.",
		Job:       script("exit 1"),
		Want:      failed(1, "ERROR: Job failed: command terminated with exit code 1"),
	},
	{
		Name: "exit-code-42", Spec: "7.4",
		Behaviour: "The exit code is that of the command, for allow_failure:exit_codes and retry:exit_codes.",
		Job:       standin.JobSpec{NeedsExitCode: true, Script: []string{"sh -c 'exit 42'"}},
		Want:      failed(42),
	},
	{
		Name: "exit-code-255", Spec: "7.4",
		Behaviour: "The largest exit code is reported as it is.",
		Job:       script("exit 255"),
		Want:      failed(255),
	},
	{
		Name: "exit-code-modulo", Spec: "7.4",
		Behaviour: "A code of 256 is 0 to the shell, and the job succeeds.",
		Job:       script("sh -c 'exit 256'"),
		Want:      prints("Job succeeded"),
	},
	{
		Name: "signal-kill", Spec: "7.4",
		Behaviour: "A process killed by signal N is reported with 128+N.",
		Job:       script("sh -c 'kill -9 $$'"),
		Want:      failed(137),
	},
	{
		Name: "signal-segv", Spec: "7.4",
		Behaviour: "So is one that crashed.",
		Job:       script("sh -c 'kill -SEGV $$'"),
		Want:      failed(139),
	},
	{
		Name: "signal-the-shell", Spec: "7.4",
		Behaviour: "A script whose own shell is killed fails with 128+N.",
		Job:       script("kill -9 $$"),
		Want:      failed(137),
	},
	{
		Name: "signal-term-to-the-shell", Spec: "10.5",
		Behaviour: "SIGTERM makes the script exit with 1.",
		Job:       script("kill -TERM $$; sleep 5"),
		Want:      failed(1),
	},
	{
		Name: "timeout", Spec: "10.4",
		Behaviour: "A job that takes too long is ended with job_execution_timeout.",
		Job:       standin.JobSpec{Timeout: 4 * time.Second, Script: []string{"echo begun", "sleep 300"}},
		Want:      Want{State: standin.Failed, Reason: "job_execution_timeout", Says: []string{"execution took longer than 4s seconds"}},
	},
	{
		Name: "timeout-deaf", Spec: "10.4",
		Behaviour: "A script that ignores every signal it can is ended as well.",
		Job:       standin.JobSpec{Timeout: 4 * time.Second, Script: []string{"trap '' TERM INT HUP; while :; do sleep 1; done"}},
		Want:      Want{State: standin.Failed, Reason: "job_execution_timeout"},
	},
	{
		Name: "timeout-absent", Spec: "3.4",
		Behaviour: "A timeout of 0 means two hours.",
		Job: standin.JobSpec{Script: []string{"echo $CI_JOB_TIMEOUT"}, Mutate: func(payload map[string]any) {
			info, _ := payload["runner_info"].(map[string]any)
			info["timeout"] = 0
		}},
		Want: prints("7200"),
	},
	{
		Name: "cancel", Spec: "4.7", CancelAt: "working",
		Behaviour: "A cancelled job ends at once, and GitLab has it as cancelled.",
		Job:       script("echo working; sleep 300", "echo never"),
		Want:      Want{State: standin.Canceled, NoLines: []string{"never"}},
	},
	{
		Name: "reason-mapped-configuration", Spec: "7.2",
		Behaviour: "A GitLab that does not know runner_configuration_error is told script_failure.",
		Job:       standin.JobSpec{Features: &standin.Features{TraceSections: true}, Variables: vars("GIT_SUBMODULE_STRATEGY", "deep")},
		Want:      refused("script_failure", "GIT_SUBMODULE_STRATEGY"),
	},
	{
		Name: "reason-timeout-unmapped", Spec: "7.2",
		Behaviour: "job_execution_timeout is known to every GitLab.",
		Job:       standin.JobSpec{Features: &standin.Features{TraceSections: true}, Timeout: 4 * time.Second, Script: []string{"sleep 300"}},
		Want:      Want{State: standin.Failed, Reason: "job_execution_timeout"},
	},
	{
		Name: "policy-options", Spec: "3.15",
		Behaviour: "policy_options change nothing but the log, which names the policy.",
		Job: standin.JobSpec{Mutate: func(payload map[string]any) {
			payload["policy_options"] = map[string]any{"execution_policy_job": true, "policy_name": "security scans"}
		}},
		Want: Want{Says: []string{"security scans"}, Lines: []string{"the script ran"}},
	},
}, odd()...)

// odd are payloads of a kind that no .gitlab-ci.yml asks for, and that servers
// old and new have sent.
func odd() []Row {
	payloads := standin.OddPayloads()
	var rows []Row
	for _, name := range slices.Sorted(maps.Keys(payloads)) {
		rows = append(rows, Row{
			Name: "payload-" + strings.ToLower(strings.ReplaceAll(name, " ", "-")), Spec: "3.1",
			Behaviour: fmt.Sprintf("A payload with %s is taken.", name),
			Job:       standin.JobSpec{Mutate: payloads[name], Script: []string{"cat README.md"}},
			Want:      prints("hello"),
		})
	}
	return rows
}

package conformance

import "github.com/runnerd/runnerd/internal/standin"

var unsupported = []Row{
	{
		Name: "run-steps", Spec: "3.15",
		Behaviour: "run: fails the job with a message that names it.",
		Job:       standin.JobSpec{Run: `[{"name":"hello","script":"echo the script ran"}]`},
		Want:      refused("runner_configuration_error", "run: steps are not supported by this runner"),
	},
	{
		Name: "run-and-script", Spec: "2.8",
		Behaviour: "run: together with a script fails the job with code 3.",
		Job:       standin.JobSpec{Run: `[{"name":"hello","script":"echo hi"}]`, Steps: []standin.Step{{Name: "script", Script: []string{theScriptRan}}}},
		Want:      Want{State: standin.Failed, Reason: "runner_system_failure", Exit: 3, Says: []string{"both run: and script:"}, NoLines: []string{"the script ran"}},
	},
	{
		Name: "executor-options-unknown", Spec: "2.8",
		Behaviour: "Unknown options of an image fail the job with code 3, and are named.",
		Job:       standin.JobSpec{Image: standin.Image{ExecutorOpts: map[string]any{"kubernetes": map[string]any{"privileged": true}}}},
		Want:      Want{State: standin.Failed, Reason: "runner_system_failure", Exit: 3, Says: []string{"privileged"}, NoLines: []string{"the script ran"}},
	},
	{
		Name: "executor-options-of-a-service", Spec: "2.8",
		Behaviour: "So do those of a service.",
		Job:       standin.JobSpec{Services: []standin.Service{{ExecutorOpts: map[string]any{"podman": map[string]any{"user": "1"}}}}},
		Want:      Want{State: standin.Failed, Reason: "runner_system_failure", Exit: 3, Says: []string{"podman"}, NoLines: []string{"the script ran"}},
	},
	{
		Name: "executor-options-of-docker", Spec: "2.8",
		Behaviour: "Options for Docker are known and do no harm.",
		Job:       standin.JobSpec{Image: standin.Image{ExecutorOpts: map[string]any{"docker": map[string]any{"platform": "linux/amd64", "user": "dave"}}}},
		Want:      prints("the script ran"),
	},
	{
		Name: "secrets-of-another-provider", Spec: "3.14",
		Behaviour: "Secrets of a provider other than Vault fail the job with a message that names it.",
		Job:       standin.JobSpec{Secrets: map[string]any{"DB": map[string]any{"aws_secrets_manager": map[string]any{"secret_id": "x"}}}},
		Want:      refused("runner_configuration_error", "aws_secrets_manager is not supported by this runner"),
	},
	{
		Name: "suspend-options", Spec: "3.15",
		Behaviour: "suspend_options are ignored.",
		Job: standin.JobSpec{Mutate: func(payload map[string]any) {
			payload["suspend_options"] = map[string]any{"suspend_on_success": true, "environment_key": "x"}
		}},
		Want: prints("the script ran"),
	},
}

package conformance

import (
	"strings"

	"github.com/runnerd/runnerd/internal/standin"
)

var inputs = []Row{
	{
		Name: "input", Spec: "3.15",
		Behaviour: "${{ job.inputs.x }} in a script is replaced by the input's value.",
		Job:       standin.JobSpec{Inputs: []any{input("target", "string", "production", false)}, Script: []string{"echo to ${{ job.inputs.target }}"}},
		Want:      prints("to production"),
	},
	{
		Name: "input-types", Spec: "3.15",
		Behaviour: "Numbers and booleans are written as in JSON.",
		Job:       standin.JobSpec{Inputs: []any{input("n", "number", 4, false), input("b", "boolean", true, false)}, Script: []string{"echo ${{ job.inputs.n }} ${{ job.inputs.b }}"}},
		Want:      prints("4 true"),
	},
	{
		Name: "input-in-after-script", Spec: "3.15",
		Behaviour: "Inputs are replaced in after_script as well.",
		Job:       standin.JobSpec{Inputs: []any{input("x", "string", "late", false)}, AfterScript: []string{"echo ${{ job.inputs.x }}"}},
		Want:      prints("late"),
	},
	{
		Name: "input-unknown", Spec: "3.15",
		Behaviour: "An input that is not there is a configuration error.",
		Job:       standin.JobSpec{Inputs: []any{input("x", "string", "1", false)}, Script: []string{"echo ${{ job.inputs.y }}", theScriptRan}},
		Want:      refused("runner_configuration_error"),
	},
	{
		Name: "input-sensitive", Spec: "3.15",
		Behaviour: "A sensitive input is refused.",
		Job:       standin.JobSpec{Inputs: []any{input("x", "string", strings.Repeat("s", 10), true)}, Script: []string{"echo ${{ job.inputs.x }}", theScriptRan}},
		Want:      refused("runner_configuration_error"),
	},
	{
		Name: "input-interpolation-off", Spec: "3.15",
		Behaviour: "FF_ENABLE_JOB_INPUTS_INTERPOLATION=false leaves the text alone.",
		Job: standin.JobSpec{
			Variables: vars("FF_ENABLE_JOB_INPUTS_INTERPOLATION", "false"), Inputs: []any{input("x", "string", "1", false)}, Script: []string{"echo '${{ job.inputs.x }}'"},
		},
		Want: prints("${{ job.inputs.x }}"),
	},
}

func input(key, kind string, content any, sensitive bool) map[string]any {
	return map[string]any{"key": key, "value": map[string]any{"type": kind, "content": content, "sensitive": sensitive}}
}

package job

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// defaultAfterScriptTimeout bounds after_script when the user sets nothing.
const defaultAfterScriptTimeout = 5 * time.Minute

// steps lays out the job's scripts: what the helper asks for, and what the
// build container runs. after_script comes last.
func steps(j *Job, o Options, s *settings, tempDir string) ([]HelperStep, []BuildStep) {
	var helper []HelperStep
	var build []BuildStep
	scriptTimeout := within(s, "RUNNER_SCRIPT_TIMEOUT", 0, j.Timeout)
	afterTimeout := within(s, "RUNNER_AFTER_SCRIPT_TIMEOUT", min(defaultAfterScriptTimeout, j.Timeout), j.Timeout)
	for _, step := range afterScriptLast(j.Steps) {
		if len(step.Script) == 0 {
			continue
		}
		if step.Name == StepAfterScript {
			helper = append(helper, HelperStep{
				Name: step.Name, Phase: step.Name, Title: "Running after_script", Timeout: afterTimeout, After: true,
			})
			build = append(build, BuildStep{Name: step.Name, Script: step.Script, Announce: "Running after script..."})
			continue
		}
		script := step.Script
		if step.Name != stepScript {
			// Only the user's own script is left to the shell; GitLab makes the
			// others (release) and doubles the $ that it wants to keep.
			script = expandEach(script, s.vars, tempDir)
		}
		phase := "step_" + step.Name
		helper = append(helper, HelperStep{
			Name: step.Name, Phase: phase, Timeout: scriptTimeout,
			Title: fmt.Sprintf("Executing %q stage of the job script", phase),
		})
		build = append(build, BuildStep{Name: step.Name, Before: o.PreBuildScript, Script: script, After: o.PostBuildScript})
	}
	return helper, build
}

func afterScriptLast(steps []Step) []Step {
	isAfter := func(s Step) bool { return s.Name == StepAfterScript }
	after := slices.DeleteFunc(slices.Clone(steps), func(s Step) bool { return !isAfter(s) })
	return append(slices.DeleteFunc(slices.Clone(steps), isAfter), after...)
}

// within reads a timeout that the job's own bounds.
func within(s *settings, key string, fallback, job time.Duration) time.Duration {
	d := s.duration(key, fallback)
	if d > job {
		s.warn(key, Value(s.vars, key), "a duration within the job's timeout of "+job.String())
		return job
	}
	return d
}

// unsupported refuses what runnerd would run wrongly.
func unsupported(j *Job) error {
	var unknown []string
	unknown = append(unknown, j.Image.Unsupported...)
	for _, s := range j.Services {
		unknown = append(unknown, s.Unsupported...)
	}
	switch {
	case len(unknown) > 0:
		return &Failure{
			Reason: RunnerSystemFailure, ExitCode: 3,
			Message: "unsupported executor options: " + strings.Join(unknown, ", ") + "; remove them from the job's image and services",
		}
	case j.Run != "" && len(j.Steps) > 0:
		return &Failure{Reason: RunnerSystemFailure, ExitCode: 3, Message: "the job has both run: and script:; use one of them"}
	case j.Run != "":
		return Failf(RunnerConfigurationError, "run: steps are not supported by this runner; use script:")
	}
	if err := unsupportedSecret(j); err != nil {
		return err
	}
	return nil
}

// notHonoured names what the job asks for and does not get, where the job can
// run all the same.
func notHonoured(vars []Variable) []string {
	if Value(vars, "KUBERNETES_BEARER_TOKEN") != "" {
		return []string{"KUBERNETES_BEARER_TOKEN is not honoured: a job never chooses the credentials that its pod is made with"}
	}
	return nil
}

package standin

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// facts are what the checks need to know of a payload as it was sent. A part
// of the payload that has another shape than GitLab's counts as empty.
type facts struct {
	variables []Variable
	steps     []Step
	artifacts []Artifact
	caches    []Cache
	secrets   map[string]any
	refspecs  []string
	deps      []Dependency
	features  Features
}

func readFacts(raw []byte) facts {
	var f facts
	var parts map[string]json.RawMessage
	_ = json.Unmarshal(raw, &parts)
	read := func(key string, into any) { _ = json.Unmarshal(parts[key], into) }
	read("variables", &f.variables)
	read("steps", &f.steps)
	read("artifacts", &f.artifacts)
	read("cache", &f.caches)
	read("secrets", &f.secrets)
	read("dependencies", &f.deps)
	read("features", &f.features)
	var git gitInfo
	read("git_info", &git)
	f.refspecs = git.Refspecs
	return f
}

// variable returns the value that wins for key.
func (f facts) variable(key string) string {
	for _, v := range slices.Backward(f.variables) {
		if v.Key == key {
			return v.Value
		}
	}
	return ""
}

func (f facts) enabled(key string) bool {
	b, _ := strconv.ParseBool(f.variable(key)) // what is no boolean is false
	return b
}

// debug says whether the job's log may show secrets (5.1).
func (f facts) debug() bool { return f.enabled("CI_DEBUG_TRACE") || f.enabled("CI_DEBUG_SERVICES") }

// timestamps says whether the log's lines have headers, unless the client is
// configured otherwise.
func (f facts) timestamps() bool {
	b, err := strconv.ParseBool(f.variable("FF_TIMESTAMPS"))
	return err != nil || b
}

// masked returns the phrases that must not be in the log. A value that the
// runner would expand is left out: what it becomes is not known here.
func (f facts) masked() []string {
	var list []string
	for _, v := range f.variables {
		value := strings.TrimSpace(v.Value)
		if v.Masked && value != "" && (v.Raw || !strings.Contains(value, "$")) {
			list = append(list, value)
		}
	}
	return list
}

// requires lists the features without which GitLab does not hand a job out
// (the gates of 2.2).
func (f facts) requires(spec JobSpec) []string {
	var list []string
	need := func(feature string, needed bool) {
		if needed {
			list = append(list, feature)
		}
	}
	need("fallback_cache_keys", slices.ContainsFunc(f.caches, func(c Cache) bool { return len(c.FallbackKeys) > 0 }))
	need("upload_multiple_artifacts", slices.ContainsFunc(f.artifacts, func(a Artifact) bool { return a.Type != "" && a.Type != "archive" }))
	need("artifacts_exclude", slices.ContainsFunc(f.artifacts, func(a Artifact) bool { return len(a.Exclude) > 0 }))
	need("refspecs", strings.HasPrefix(spec.Ref, "refs/merge-requests/"))
	need("multi_build_steps", slices.ContainsFunc(f.steps, func(s Step) bool { return s.Name != "script" && s.Name != "after_script" }))
	need("vault_secrets", len(f.secrets) > 0)
	need("return_exit_code", spec.NeedsExitCode)
	return list
}

// AllFailureReasons returns the reasons that GitLab knows (7.5).
func AllFailureReasons() []string {
	return strings.Fields(`
		unknown_failure script_failure api_failure stuck_or_timeout_failure runner_system_failure
		missing_dependency_failure runner_unsupported stale_schedule job_execution_timeout archived_failure
		unmet_prerequisites scheduler_failure data_integrity_failure forward_deployment_failure user_blocked
		project_deleted ci_quota_exceeded pipeline_loop_detected no_matching_runner trace_size_exceeded
		builds_disabled environment_creation_failure deployment_rejected failed_outdated_deployment_job
		job_execution_server_timeout stuck_pending_with_matching_runners stuck_pending_no_matching_runners
		no_updates_running no_updates_canceling server_timeout_running server_timeout_canceling
		runner_configuration_error runner_external_dependency_failure runner_interrupted
		protected_environment_failure insufficient_bridge_permissions downstream_bridge_project_not_found
		invalid_bridge_trigger upstream_bridge_project_not_found insufficient_upstream_permissions
		bridge_pipeline_is_child_pipeline downstream_pipeline_creation_failed secrets_provider_not_found
		reached_max_descendant_pipelines_depth ip_restriction_failure reached_max_pipeline_hierarchy_size
		reached_downstream_pipeline_trigger_rate_limit duo_workflow_not_allowed job_router_failure
		job_token_expired id_token_burned_project_path downstream_project_trigger_resolved_to_empty
		runner_provisioning_timeout`)
}

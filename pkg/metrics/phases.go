package metrics

import "strings"

// PhaseQueue is the time that a job has waited at GitLab.
const PhaseQueue = "queue"

// phases are the parts of a job's time, as the label phase has them, by the names of
// GitLab Runner's stages and runnerd's own.
var phases = map[string]string{
	PhaseQueue:                    PhaseQueue,
	"judge":                       "judge",
	"resolve_secrets":             "secrets",
	"create":                      "create",
	"schedule":                    "schedule",
	"pull":                        "pull",
	"get_sources":                 "clone",
	"clear_worktree":              "clone",
	"restore_cache":               "restore",
	"download_artifacts":          "download",
	"after_script":                "after_script",
	"archive_cache":               "save",
	"archive_cache_on_failure":    "save",
	"upload_artifacts_on_success": "upload",
	"upload_artifacts_on_failure": "upload",
	"report":                      "report",
}

// phaseOf returns the label of a phase; "" for one that is no part of its own, or too
// short to matter. Names come from pods: what is not known makes no series.
func phaseOf(name string) string {
	if strings.HasPrefix(name, "step_") {
		return "script"
	}
	return phases[name]
}

// stages are those of GitLab Runner, besides the steps.
var stages = map[string]bool{
	"resolve_secrets": true, "prepare_executor": true, "prepare_script": true, "get_sources": true, "clear_worktree": true,
	"restore_cache": true, "download_artifacts": true, "after_script": true, "archive_cache": true, "archive_cache_on_failure": true,
	"upload_artifacts_on_success": true, "upload_artifacts_on_failure": true, "cleanup_file_variables": true,
}

func isStage(name string) bool { return stages[name] || strings.HasPrefix(name, "step_") }

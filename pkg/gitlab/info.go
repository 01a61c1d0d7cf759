package gitlab

import (
	"fmt"
	"runtime"
)

// Info is what a runner manager tells GitLab about itself.
type Info struct {
	Name         string            // product, "runnerd"
	Version      string            // semantic version
	Revision     string            // git revision
	Platform     string            // empty means this program's
	Architecture string            // empty means this program's
	Executor     string            // "kubernetes"; GitLab stores names it does not know as "unknown"
	Shell        string            // ignored by GitLab
	Features     map[string]bool   // nil means [DefaultFeatures]
	Labels       map[string]string // at most 32
}

// DefaultFeatures returns what runnerd promises to every job it takes. GitLab
// fails a job that needs a feature which is missing here, and hands out one
// that runs wrongly when a feature is here by mistake: the caller adds what
// else is wired (services, cache and so on).
func DefaultFeatures() map[string]bool {
	return map[string]bool{
		"variables": true, "raw_variables": true, "image": true, "refspecs": true, "masking": true,
		"multi_build_steps": true, "trace_checksum": true, "trace_size": true, "cancelable": true,
		"cancel_gracefully": true, "return_exit_code": true, "two_phase_job_commit": true,
		"artifacts": true, "artifacts_exclude": true, "upload_multiple_artifacts": true, "upload_raw_artifacts": true,
	}
}

func (i Info) userAgent() string {
	name := i.Name
	if name == "" {
		name = "runnerd"
	}
	return fmt.Sprintf("%s %s (%s; %s; %s/%s)", name, i.Version, i.Revision,
		runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

type wireInfo struct {
	Name         string            `json:"name,omitempty"`
	Version      string            `json:"version,omitempty"`
	Revision     string            `json:"revision,omitempty"`
	Platform     string            `json:"platform,omitempty"`
	Architecture string            `json:"architecture,omitempty"`
	Executor     string            `json:"executor,omitempty"`
	Shell        string            `json:"shell,omitempty"`
	Features     map[string]bool   `json:"features"`
	Labels       map[string]string `json:"labels,omitempty"`
}

func (i Info) wire() wireInfo {
	w := wireInfo(i)
	if w.Platform == "" {
		w.Platform = runtime.GOOS
	}
	if w.Architecture == "" {
		w.Architecture = runtime.GOARCH
	}
	if w.Features == nil {
		w.Features = DefaultFeatures()
	}
	return w
}

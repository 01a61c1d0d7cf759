package config

import (
	"reflect"
	"regexp"
	"strings"
)

// An ignored key is one of GitLab Runner's that runnerd knows and does not act
// on. A key may be ignored and be a field at once: it is then checked as well.
type ignored struct {
	reason string
	same   any // the value with which GitLab Runner does what runnerd does anyway
}

// matters reports whether somebody who wrote v should hear the reason: not when
// it changes nothing, and not for the empty values and tables that GitLab
// Runner's register leaves behind.
func (i ignored) matters(v any) bool {
	if v == i.same {
		return false
	}
	switch rv := reflect.ValueOf(v); rv.Kind() {
	case reflect.String, reflect.Slice:
		return rv.Len() > 0
	case reflect.Map:
		for _, inner := range v.(map[string]any) {
			if (ignored{same: i.same}).matters(inner) {
				return true
			}
		}
		return false
	case reflect.Bool:
		return i.same != nil || rv.Bool()
	default:
		return i.same != nil || !rv.IsZero()
	}
}

const (
	otherExecutor = "it belongs to another executor; runnerd runs jobs on Kubernetes only"
	noReport      = "runnerd has no such report"
	noSessions    = "runnerd offers no terminal in a running job"
	watchesPods   = "runnerd watches pods and does not poll them"
	noStartupScan = "runnerd takes a job as soon as GitLab hands it out"
	noSharedLogs  = "scripts and their output lie in a volume of the pod's own"
	slotsOnly     = "it belongs to the autoscaler executors"
	fixedHelper   = "there is one helper image, for all architectures; set helper_image for another"
	retriesItself = "what a job needs of the Kubernetes API is tried again for as long as poll_timeout, whatever the error, unless a repeat cannot help"
	noPausePods   = "runnerd keeps no pause pods; use a node autoscaler's own over-provisioning"
	noSuspend     = "runnerd does not suspend jobs"
	getSourcesNow = "GitLab Runner no longer has this key; its new name is "
)

// ignoredKeys holds the keys by their path without positions, in lower case.
var ignoredKeys = map[string]ignored{
	"user":                            {reason: "no job runs as a user of this host"},
	"sentry_dsn":                      {reason: "runnerd reports errors in its log and metrics"},
	"session_server":                  {reason: noSessions},
	"machine":                         {reason: otherExecutor},
	"experimental":                    {reason: noReport},
	"runners.shell":                   {reason: "scripts run in the image's bash, else in its sh", same: "bash"},
	"runners.cache_dir":               {reason: "caches travel to S3 only", same: "/cache"},
	"runners.safe_directory_checkout": {reason: "the checkout always is a safe directory", same: true},
	"runners.clean_git_config":        {reason: "git's configuration is always made anew", same: true},
	"runners.prepare_timeout":         {reason: "[runners.kubernetes] poll_timeout bounds the wait for a job's containers"},
	"runners.job_status_final_update_retry_limit": {reason: "a job's end is reported until GitLab takes it, or refuses it again and again; job_status_final_update_timeout (24h) is the bound", same: int64(defaultFinalRetries)},
	"runners.proxy_exec":                          {reason: "the helper always masks the log", same: true},
	"runners.step_runner_image":                   {reason: "runnerd does not execute run: steps"},
	"runners.use_slot_cgroups":                    {reason: slotsOnly},
	"runners.slot_cgroup_template":                {reason: slotsOnly},
	"runners.custom_build_dir":                    {reason: "GIT_CLONE_PATH always works below builds_dir", same: true},
	"runners.referees":                            {reason: noReport},
	"runners.monitoring":                          {reason: noReport},
	"runners.experimental":                        {reason: noStartupScan},
	"runners.pre_clone_script":                    {reason: getSourcesNow + "pre_get_sources_script"},
	"runners.post_clone_script":                   {reason: getSourcesNow + "post_get_sources_script"},

	"runners.docker":     {reason: otherExecutor},
	"runners.ssh":        {reason: otherExecutor},
	"runners.parallels":  {reason: otherExecutor},
	"runners.virtualbox": {reason: otherExecutor},
	"runners.machine":    {reason: otherExecutor},
	"runners.custom":     {reason: otherExecutor},
	"runners.autoscaler": {reason: otherExecutor},
	"runners.instance":   {reason: otherExecutor},

	"runners.cache.gcs":   {reason: "caches are stored in S3 or a store that speaks its protocol"},
	"runners.cache.azure": {reason: "caches are stored in S3 or a store that speaks its protocol"},

	"runners.kubernetes.bearer_token_overwrite_allowed":              {reason: "a job never chooses runnerd's credentials"},
	"runners.kubernetes.namespace_per_job":                           {reason: "all job pods run in the one namespace"},
	"runners.kubernetes.retry_limit":                                 {reason: retriesItself},
	"runners.kubernetes.retry_backoff_max":                           {reason: retriesItself},
	"runners.kubernetes.retry_limits":                                {reason: retriesItself},
	"runners.kubernetes.poll_interval":                               {reason: watchesPods},
	"runners.kubernetes.resource_availability_check_max_attempts":    {reason: "runnerd does not wait for a missing service account or pull secret: the job fails with what the API server or the image pull says"},
	"runners.kubernetes.cleanup_resources_timeout":                   {reason: "the clean-up behind a job has one minute; the pod owns what is made for it, so that deleting the pod is enough"},
	"runners.kubernetes.print_pod_warning_events":                    {reason: "why a pod fails is read from its status, and always in the job's log; events are not read", same: true},
	"runners.kubernetes.pod_disruption_budget":                       {reason: "runnerd makes no disruption budgets"},
	"runners.kubernetes.helper_image_flavor":                         {reason: fixedHelper},
	"runners.kubernetes.helper_image_autoset_arch_and_os":            {reason: fixedHelper, same: true},
	"runners.kubernetes.logs_base_dir":                               {reason: noSharedLogs},
	"runners.kubernetes.scripts_base_dir":                            {reason: noSharedLogs},
	"runners.kubernetes.init_permissions_container_security_context": {reason: "the pod has no init container"},
	"runners.kubernetes.container_lifecycle":                         {reason: "runnerd adds no lifecycle hooks"},
	"runners.kubernetes.pod_spec":                                    {reason: "runnerd does not patch the pod's spec"},
	"runners.kubernetes.autoscaler":                                  {reason: noPausePods},
	"runners.kubernetes.suspend_pvc_size":                            {reason: noSuspend},
	"runners.kubernetes.suspend_pvc_storage_class":                   {reason: noSuspend},
	"runners.kubernetes.services.suspend_data_path":                  {reason: noSuspend},
}

var positions = regexp.MustCompile(`\[\d+\]`)

// lookupIgnored returns what is said of key in the table at path.
func lookupIgnored(path, key string) (ignored, bool) {
	ign, ok := ignoredKeys[strings.ToLower(tableName(joinPath(path, key)))]
	return ign, ok
}

// ignoredIn returns the names of the ignored keys of the table at path.
func ignoredIn(path string) []string {
	var names []string
	for p := range ignoredKeys {
		if parent(p) == strings.ToLower(tableName(path)) {
			names = append(names, strings.TrimPrefix(strings.TrimPrefix(p, parent(p)), "."))
		}
	}
	return names
}

// IgnoredKeys returns GitLab Runner's keys that do nothing here, each with its
// reason, by their path without positions ("runners.kubernetes.pod_spec").
func IgnoredKeys() map[string]string {
	reasons := make(map[string]string, len(ignoredKeys))
	for path, i := range ignoredKeys {
		reasons[path] = i.reason
	}
	return reasons
}

package job

import (
	"slices"
	"strconv"
	"strings"
)

// GitLab Runner's feature flags and their defaults. runnerd acts on the few
// named by constants here; the others are exported to scripts that look at
// them, and change nothing.
const (
	flagTimestamps     = "FF_TIMESTAMPS"
	flagMaskTokens     = "FF_MASK_ALL_DEFAULT_TOKENS"
	flagHashKeys       = "FF_HASH_CACHE_KEYS"
	flagDirectDownload = "FF_USE_DIRECT_DOWNLOAD"
	flagWipeCache      = "FF_CLEAN_UP_FAILED_CACHE_EXTRACT"
	flagEntrypoint     = "FF_KUBERNETES_HONOR_ENTRYPOINT"
	flagSections       = "FF_SCRIPT_SECTIONS"
	flagInputs         = "FF_ENABLE_JOB_INPUTS_INTERPOLATION"
	flagSecrets        = "FF_SECRET_RESOLVING_FAILS_IF_MISSING"

	// FlagNoTokenRotation keeps the daemon from replacing a runner's token that
	// is about to expire.
	FlagNoTokenRotation = "FF_DISABLE_AUTOMATIC_TOKEN_ROTATION"
)

var featureFlags = map[string]bool{
	flagTimestamps: true, flagMaskTokens: true, flagSections: false,
	flagDirectDownload: true, "FF_USE_FASTZIP": true, "FF_USE_POD_ACTIVE_DEADLINE_SECONDS": true,
	flagSecrets: true, "FF_USE_GIT_BUNDLE_URIS": true,
	"FF_USE_EXPONENTIAL_BACKOFF_STAGE_RETRY": true, "FF_USE_ADAPTIVE_REQUEST_CONCURRENCY": true,
	"FF_USE_GITALY_CORRELATION_ID": true, flagInputs: true,
	"FF_USE_LEGACY_KUBERNETES_EXECUTION_STRATEGY": false, "FF_ENABLE_BASH_EXIT_CODE_CHECK": false,
	"FF_USE_LEGACY_BASH_EVAL": false, "FF_POSIXLY_CORRECT_ESCAPES": false, "FF_ENABLE_JOB_CLEANUP": false,
	flagEntrypoint: false, "FF_USE_ADVANCED_POD_SPEC_CONFIGURATION": false,
	"FF_PRINT_POD_EVENTS": false, "FF_USE_GIT_NATIVE_CLONE": false,
	"FF_USE_DUMB_INIT_WITH_KUBERNETES_EXECUTOR": false, "FF_LOG_IMAGES_CONFIGURED_FOR_JOB": false,
	flagWipeCache: false, FlagNoTokenRotation: false,
	"FF_DISABLE_UMASK_FOR_KUBERNETES_EXECUTOR": false, "FF_GIT_URLS_WITHOUT_TOKENS": false,
	"FF_WAIT_FOR_POD_TO_BE_REACHABLE": false, "FF_EXPORT_HIGH_CARDINALITY_METRICS": false,
	"FF_USE_GIT_PROACTIVE_AUTH": false, flagHashKeys: false, "FF_USE_JOB_ROUTER": false,
	"FF_USE_PARALLEL_CACHE_TRANSFER": false, "FF_USE_PARALLEL_ARTIFACT_TRANSFER": false,
	"FF_USE_DYNAMIC_TRACE_FORCE_SEND_INTERVAL": false, "FF_RESOLVE_FULL_TLS_CHAIN": false,
	"FF_USE_NATIVE_CONTAINER_STOP": false,
}

func isFeatureFlag(key string) bool {
	_, known := featureFlags[key]
	return known
}

// resolveFlags settles every feature flag: the operator's word beats the job's
// variable, which beats the default.
func resolveFlags(vars []Variable, operator map[string]bool) (resolved map[string]bool, warnings []string) {
	resolved = make(map[string]bool, len(featureFlags))
	for name, value := range featureFlags {
		if text := Value(vars, name); text != "" {
			if b, err := strconv.ParseBool(text); err == nil {
				value = b
			} else {
				warnings = append(warnings, name+"="+strconv.Quote(text)+" is not valid and was ignored: use true or false")
			}
		}
		if b, ok := operator[name]; ok {
			value = b
		}
		resolved[name] = value
	}
	slices.Sort(warnings)
	return resolved, warnings
}

// flagVariables lists resolved flags as variables, by name.
func flagVariables(resolved map[string]bool) []Variable {
	vars := make([]Variable, 0, len(resolved))
	for name, value := range resolved {
		vars = append(vars, Variable{Key: name, Value: strconv.FormatBool(value), Public: true})
	}
	slices.SortFunc(vars, func(a, b Variable) int { return strings.Compare(a.Key, b.Key) })
	return vars
}

// ChangedFlags lists the feature flags that differ from their default, as
// "NAME:value", by name.
func ChangedFlags(vars []Variable, operator map[string]bool) []string {
	resolved, _ := resolveFlags(vars, operator)
	var changed []string
	for name, value := range resolved {
		if value != featureFlags[name] {
			changed = append(changed, name+":"+strconv.FormatBool(value))
		}
	}
	slices.Sort(changed)
	return changed
}

package job

import (
	"maps"
	"slices"
)

// A FeatureFlag is one of GitLab Runner's FF_ settings.
type FeatureFlag struct {
	Default bool
	Acts    bool // runnerd does something else when the flag is switched; otherwise scripts see it, nothing more
}

// LookupFeatureFlag returns the flag of that name; ok is false when GitLab
// Runner has none.
func LookupFeatureFlag(name string) (flag FeatureFlag, ok bool) {
	def, ok := featureFlags[name]
	switch name {
	case flagTimestamps, flagMaskTokens, flagSections, flagEntrypoint, flagHashKeys, flagWipeCache, flagDirectDownload,
		flagInputs, flagSecrets, FlagNoTokenRotation:
		return FeatureFlag{Default: def, Acts: ok}, ok
	}
	return FeatureFlag{Default: def}, ok
}

// FeatureFlagNames returns the names of all flags, sorted.
func FeatureFlagNames() []string { return slices.Sorted(maps.Keys(featureFlags)) }

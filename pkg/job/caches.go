package job

import (
	"path"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// caches lays out the job's caches: what the helper does with each, and the
// keys under which the daemon looks it up.
func caches(j *Job, o Options, s *settings, flags map[string]bool, tempDir string) ([]CachePlan, []CacheRequest) {
	attempts := s.number("RESTORE_CACHE_ATTEMPTS", 1, 1, 10)
	timeout := time.Duration(s.number("CACHE_REQUEST_TIMEOUT", 10, 1, 24*60)) * time.Minute
	level := compression(s, o.CacheCompression)
	limit := s.size("CACHE_MAX_UPLOADED_ARCHIVE_SIZE")
	keys := keyMaker{job: j, s: s, tempDir: tempDir, hashed: flags[flagHashKeys]}

	var plans []CachePlan
	var requests []CacheRequest
	for _, c := range j.Caches {
		if len(c.Paths) == 0 && !c.Untracked {
			continue
		}
		own, ok := keys.own(c.Key)
		if !ok {
			continue
		}
		plan := CachePlan{
			Key: own.Name, Paths: c.Paths, Untracked: c.Untracked, When: when(s, own.Name, c.When),
			Attempts: attempts, Timeout: timeout, Level: level, MaxBytes: limit,
			WipeOnErr: flags[flagWipeCache],
		}
		mode := Expand(c.Mode, s.vars, tempDir)
		switch mode {
		case "", "pull-push":
			plan.Restore, plan.Save = true, true
		case "pull":
			plan.Restore = true
		case "push":
			plan.Save = true
		default:
			plan.Error = "cache " + strconv.Quote(own.Name) + ": unknown cache policy " + strconv.Quote(mode) + "; use pull-push, pull or push"
		}
		plans = append(plans, plan)
		requests = append(requests, CacheRequest{Keys: keys.all(own, c.FallbackKeys)})
	}
	return plans, requests
}

// compression maps GitLab Runner's five levels to our two.
func compression(s *settings, configured string) string {
	switch s.choice("CACHE_COMPRESSION_LEVEL", "", "fastest", "fast", "default", "slow", "slowest") {
	case "":
		if configured != "" {
			return configured
		}
		return "fastest"
	case "fastest", "fast":
		return "fastest"
	}
	return "default"
}

func when(s *settings, key, text string) string {
	switch text {
	case "":
		return WhenSuccess
	case WhenSuccess, WhenFailure, WhenAlways:
		return text
	}
	s.warnings = append(s.warnings, "cache "+strconv.Quote(key)+": when: "+strconv.Quote(text)+" is unknown and was taken for on_success")
	return WhenSuccess
}

// A keyMaker turns keys as GitLab sends them into those of objects.
// Source: GitLab Runner's rules for cache keys.
type keyMaker struct {
	job     *Job
	s       *settings
	tempDir string
	hashed  bool // FF_HASH_CACHE_KEYS: a key need not look like a path
}

// own returns the key of an entry, or false when there is none to be had.
func (k keyMaker) own(text string) (CacheKey, bool) {
	if text == "" {
		return k.key("", path.Join(k.job.Name, k.job.Git.Ref))
	}
	return k.key(text, Expand(text, k.s.vars, k.tempDir))
}

// all returns the keys to try for an entry.
func (k keyMaker) all(own CacheKey, fallbacks []string) []CacheKey {
	keys := []CacheKey{own}
	for _, text := range fallbacks {
		if key, ok := k.key(text, Expand(text, k.s.vars, k.tempDir)); ok {
			keys = append(keys, key)
		}
	}
	const variable = "CACHE_FALLBACK_KEY"
	value := Value(k.s.vars, variable)
	if value == "" {
		return keys
	}
	if key, ok := k.key(value, value); ok {
		if strings.HasSuffix(strings.TrimRight(key.Name, ". "), "-protected") {
			k.s.once(variable + "=" + strconv.Quote(value) + " is not used: a variable cannot choose a cache of protected refs")
			return keys
		}
		key.User = true
		keys = append(keys, key)
	}
	return keys
}

func (k keyMaker) key(text, expanded string) (CacheKey, bool) {
	if k.hashed {
		expanded = strings.TrimPrefix(expanded, "/")
		return CacheKey{Name: expanded, Object: expanded, Text: text}, expanded != ""
	}
	name := sanitizeKey(expanded)
	if name == "" {
		k.s.once("cache key " + strconv.Quote(expanded) + " could not be sanitized: the cache is not used")
		return CacheKey{}, false
	}
	if name != expanded && text != "" {
		k.s.once("cache key " + strconv.Quote(expanded) + " sanitized to " + strconv.Quote(name))
	}
	return CacheKey{Name: name, Object: name, Text: text}, true
}

var keyEscapes = strings.NewReplacer("%2f", "/", "%2F", "/", "%2e", ".", "%2E", ".", `\`, "/")

// sanitizeKey makes key a relative path that leads nowhere else; "" means that
// nothing is left of it.
func sanitizeKey(key string) string {
	key = keyEscapes.Replace(key)
	for {
		// What white space hid may be a dot-dot.
		clean := path.Clean("/" + key)
		trimmed := strings.TrimRightFunc(clean, unicode.IsSpace)
		if trimmed == clean {
			return strings.TrimPrefix(clean, "/")
		}
		key = trimmed
	}
}

package job

import "time"

// A CachePlan is what the helper does for one entry of cache.
//
// Compile writes what the job asks for; the daemon adds what its store knows
// (Lookups, Hit, Upload). Without a store both stay empty, and Note says why.
type CachePlan struct {
	Key       string   `json:"key"`             // expanded and sanitised, for people
	Paths     []string `json:"paths,omitempty"` // globs, not expanded: the agent knows GITLAB_ENV
	Untracked bool     `json:"untracked,omitempty"`
	When      string   `json:"when"`              // on_success, on_failure or always
	Restore   bool     `json:"restore,omitempty"` // what cache:policy allows
	Save      bool     `json:"save,omitempty"`
	Error     string   `json:"error,omitempty"` // fails restore_cache: cache:policy makes no sense

	Attempts  int           `json:"attempts"`              // RESTORE_CACHE_ATTEMPTS
	Timeout   time.Duration `json:"timeout"`               // CACHE_REQUEST_TIMEOUT, for restore and for save each
	Level     string        `json:"level"`                 // compression: fastest or default
	MaxBytes  int64         `json:"max_bytes,omitempty"`   // CACHE_MAX_UPLOADED_ARCHIVE_SIZE; 0 means the runner's own limit
	WipeOnErr bool          `json:"wipe_on_err,omitempty"` // FF_CLEAN_UP_FAILED_CACHE_EXTRACT

	Note    string        `json:"note,omitempty"`    // why there is no store behind it
	Lookups []CacheLookup `json:"lookups,omitempty"` // the keys that were asked for, in order; the last one is the hit
	Hit     *CacheHit     `json:"hit,omitempty"`     // nil: nothing to restore
	Upload  *CacheUpload  `json:"upload,omitempty"`  // nil: nothing can be saved
}

// When a cache is saved (cache:when).
const (
	WhenSuccess = "on_success"
	WhenFailure = "on_failure"
	WhenAlways  = "always"
)

// A CacheLookup is what the store said about one key.
type CacheLookup struct {
	Key    string      `json:"key"`
	Result CacheResult `json:"result"`
	Detail string      `json:"detail,omitempty"` // for people
}

// A CacheResult says how the restore of a cache, or one lookup, went.
type CacheResult string

// The results of a restore.
const (
	CacheHitPrimary  CacheResult = "hit"
	CacheHitFallback CacheResult = "fallback_hit"
	CacheMiss        CacheResult = "miss"
	CacheDenied      CacheResult = "denied" // the store, or runnerd's rules, refuse
	CacheBroken      CacheResult = "broken" // there is one, and it cannot be used
)

// A CacheHit is a stored cache with the URLs of its bytes, which are secrets.
type CacheHit struct {
	Key      string      `json:"key"`
	Fallback bool        `json:"fallback,omitempty"` // not the entry's own key
	Base     CacheLayer  `json:"base"`
	Delta    *CacheLayer `json:"delta,omitempty"` // what changed since Base
	Job      int64       `json:"job"`             // that saved it
	Ref      string      `json:"ref"`
	Saved    time.Time   `json:"saved"`

	// Renew says that Base is so old that the next save has to be a full one.
	Renew bool `json:"renew,omitempty"`
}

// Bytes is the cache's size in the store.
func (h *CacheHit) Bytes() int64 {
	n := h.Base.Bytes()
	if h.Delta != nil {
		n += h.Delta.Bytes()
	}
	return n
}

// A CacheLayer is one archive, in segments.
type CacheLayer struct {
	ID       string         `json:"id"`
	Raw      int64          `json:"raw"` // bytes, unpacked
	Entries  int            `json:"entries"`
	Segments []CacheSegment `json:"segments"`
}

// Bytes is the layer's size in the store.
func (l *CacheLayer) Bytes() int64 {
	var n int64
	for _, s := range l.Segments {
		n += s.Bytes
	}
	return n
}

// A CacheSegment is one object of a layer.
type CacheSegment struct {
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`        // hex
	URL    string `json:"url,omitempty"` // presigned GET; only in a plan
}

// A CacheUpload is a new layer's place in the store.
type CacheUpload struct {
	Layer    string            `json:"layer"`             // id
	URLs     []string          `json:"urls"`              // presigned PUTs, one a segment, in order
	Headers  map[string]string `json:"headers,omitempty"` // to be sent with each of them, exactly
	MaxBytes int64             `json:"max_bytes"`         // of all segments together
}

// SegmentBytes is the size at which segment n of a layer is full: small ones
// first, so that small caches use small buffers; large ones later, so that the
// list of URLs of a large cache stays short.
func SegmentBytes(n int) int64 {
	const mib = 1 << 20
	switch {
	case n < 64:
		return 8 * mib
	case n < 128:
		return 16 * mib
	}
	return 32 * mib
}

// A CacheEvent is what the helper tells the daemon about one entry of cache.
// One of its fields Restored, Segments and Saved is set.
type CacheEvent struct {
	Index    int            `json:"index"`              // in HelperPlan.Caches
	Restored *CacheRestored `json:"restored,omitempty"` // once, if Restore was set
	Segments []CacheSegment `json:"segments,omitempty"` // the next ones of the new layer; frames are small, so the list comes in pieces
	Saved    *CacheSaved    `json:"saved,omitempty"`    // once, if Save was set; Segments are complete
}

// MaxSegmentsPerEvent keeps an event within one frame.
const MaxSegmentsPerEvent = 48

// CacheRestored says what became of a restore.
type CacheRestored struct {
	Result  CacheResult   `json:"result"`
	Code    CacheCode     `json:"code,omitempty"` // unless it is a hit
	Bytes   int64         `json:"bytes,omitempty"`
	Raw     int64         `json:"raw,omitempty"`
	Entries int           `json:"entries,omitempty"`
	Took    time.Duration `json:"took"` // ns
}

// CacheSaved says what became of a save.
type CacheSaved struct {
	Result    SaveResult    `json:"result"`
	Code      CacheCode     `json:"code,omitempty"` // with SaveFailed
	Base      string        `json:"base,omitempty"` // with SaveDelta: the id of the layer that it changes
	Bytes     int64         `json:"bytes,omitempty"`
	Raw       int64         `json:"raw,omitempty"`
	Entries   int           `json:"entries,omitempty"`
	Whiteouts int           `json:"whiteouts,omitempty"`
	Took      time.Duration `json:"took"` // ns
}

// A SaveResult says what a save has sent.
type SaveResult string

// The results of a save.
const (
	SaveFull      SaveResult = "full"      // a new base
	SaveDelta     SaveResult = "delta"     // what changed since the base
	SaveUnchanged SaveResult = "unchanged" // nothing was sent
	SaveEmpty     SaveResult = "empty"     // no file matches
	SaveSkipped   SaveResult = "skipped"   // when: does not fit the job's result
	SaveFailed    SaveResult = "failed"
)

// A CacheCode says why a cache was not restored or saved. It is a metric label.
type CacheCode string

// The codes.
const (
	CodeMiss     CacheCode = "miss"         // there is none
	CodeDenied   CacheCode = "denied"       // 403
	CodeExpired  CacheCode = "expired"      // a URL is no longer valid
	CodeNetwork  CacheCode = "network"      // the store cannot be reached, or breaks off
	CodeCorrupt  CacheCode = "corrupt"      // bytes are not those that were saved, or are missing
	CodeTooLarge CacheCode = "too_large"    // over a limit
	CodeUnsafe   CacheCode = "unsafe_entry" // an entry that must not be restored
	CodeDiskFull CacheCode = "disk_full"
	CodeTimeout  CacheCode = "timeout"
	CodeChanged  CacheCode = "changed"  // a file changed while it was read
	CodeConflict CacheCode = "conflict" // another job has replaced the base meanwhile
	CodeInternal CacheCode = "internal"
)

// A CacheRequest is what the daemon needs to know to look an entry of cache up:
// the keys to try in order, the entry's own first.
type CacheRequest struct {
	Keys []CacheKey
}

// A CacheKey is one key of a cache entry.
type CacheKey struct {
	Name   string // expanded and sanitised
	Object string // what names the object: Name, or with FF_HASH_CACHE_KEYS the key before it was sanitised
	Text   string // as GitLab sent it, before expansion: its ending says which refs it is for
	User   bool   // CACHE_FALLBACK_KEY, which a job's author may set to anything
}

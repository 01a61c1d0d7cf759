package standin

import "time"

// Options configure a [Server]. The zero value behaves as gitlab.com does,
// with live traces that are archived at once.
type Options struct {
	PathPrefix  string // relative URL root, for example "/gitlab"
	ExternalURL string // what payloads name, with the prefix; default: the listener's URL

	Polling        time.Duration // how long a job request is held; default 50 s; < 0: no long polling
	TraceInterval  time.Duration // X-GitLab-Trace-Update-Interval, whole seconds; default 3 s
	Handshakes     int           // how many 202 a final update gets before its 200
	HandshakePause time.Duration // the interval told with those 202, whole seconds; default 1 s

	LogLimit      int64 // bytes; a log that would grow beyond fails its job; 0: no limit
	ArtifactLimit int64 // bytes; default 256 MiB

	FeatureHold  time.Duration // how long a manager's features stay as first seen; default 40 min
	Silence      time.Duration // a job without PATCH or PUT for so long fails; default 1 h
	KeepAlive    time.Duration // longest gap a client may leave between PATCH and PUT; default 65 s
	CancelWithin time.Duration // from telling "canceling" to the final update; default 10 min
	PromptPoll   time.Duration // from a held request that ended early to the next one; 0: not checked

	TwoPhase    bool          // a job waits for PUT running before it runs
	TwoPhaseTTL time.Duration // default 2 min

	JobRate    int // requests per minute and job token; default 200; < 0: no limit
	RunnerRate int // job requests per minute and runner token; default 2000; < 0: no limit

	// RequestConcurrency is how many job requests a manager may have open; 0
	// means that it is not checked. With 1 it is also checked that the client
	// repeats the last queue value and waits as long as it was told.
	RequestConcurrency int
	Concurrent         int // how many jobs may run at once; 0: not checked

	RegistrationTokens   []string // taken by POST /runners
	RegistrationDisabled bool     // POST /runners answers 410
	AccessTokens         []string // personal access tokens, for reading and for resetting a runner's token by id

	// NoProtectedEnvironments makes this an edition without them: asking for
	// the list is answered with 404.
	NoProtectedEnvironments bool

	NoTimestamps bool // the client is configured to write logs without timestamps

	TLS      bool     // serve with a certificate of a private CA
	TLSHosts []string // further names and addresses in that certificate

	// TLSClients has GitLab's port refuse, with TLS, whoever does not show
	// [Server.ClientCertificate]; the object storage asks nobody.
	TLSClients bool

	Tolerance time.Duration // for every check of a time; default 250 ms
	Allow     []string      // points that are not recorded as violations, for example "14.26"

	// Logf gets one line per request and per violation; nil is silent. It may
	// be called from several goroutines.
	Logf func(format string, args ...any)
}

func (o Options) withDefaults() Options {
	o.Polling = orDefault(o.Polling, 50*time.Second)
	o.TraceInterval = orDefault(o.TraceInterval, 3*time.Second)
	o.HandshakePause = orDefault(o.HandshakePause, time.Second)
	o.ArtifactLimit = orDefault(o.ArtifactLimit, 256<<20)
	o.FeatureHold = orDefault(o.FeatureHold, 40*time.Minute)
	o.Silence = orDefault(o.Silence, time.Hour)
	o.KeepAlive = orDefault(o.KeepAlive, 65*time.Second)
	o.CancelWithin = orDefault(o.CancelWithin, 10*time.Minute)
	o.TwoPhaseTTL = orDefault(o.TwoPhaseTTL, 2*time.Minute)
	o.JobRate = orDefault(o.JobRate, 200)
	o.RunnerRate = orDefault(o.RunnerRate, 2000)
	o.Tolerance = orDefault(o.Tolerance, 250*time.Millisecond)
	if o.Logf == nil {
		o.Logf = func(string, ...any) {}
	}
	return o
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

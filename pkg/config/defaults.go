package config

import "time"

// The defaults, all in this file. A type that has any sets them in setDefaults,
// before the file's keys are read; normalize replaces values that mean "the
// default" when they stand in the file.

const (
	defaultCheckInterval   = 3 * Seconds(time.Second)
	defaultShutdownTimeout = 30 * Seconds(time.Second)
	defaultOutputLimitKiB  = 4096
	defaultMetricsPort     = "9252"
	defaultNamespace       = "default"
	defaultPollTimeout     = 180 * Seconds(time.Second)
	defaultUnhealthyLimit  = 3
	defaultUnhealthyPause  = Duration(time.Hour)
	defaultFinalRetries    = 10
	defaultFinalTimeout    = Duration(24 * time.Hour)
	defaultAWSAddress      = "s3.amazonaws.com"
	defaultAssumeRoleCalls = 5
	defaultUploadTimeout   = Duration(time.Hour)
	defaultResponseTimeout = 10 * Duration(time.Minute)
	defaultNetworkTier     = "default"
	defaultFactsLife       = Duration(time.Minute)
	defaultFactsTimeout    = 10 * Duration(time.Second)
)

func (c *Config) setDefaults() {
	c.Concurrent = 1
	c.CheckInterval = defaultCheckInterval
	c.LogLevel = "info"
	c.LogFormat = "runner"
	c.ShutdownTimeout = defaultShutdownTimeout
	c.ConnectionMaxAge = 15 * Duration(time.Minute)
	c.Tracing.setDefaults()
}

func (r *Runner) setDefaults() {
	r.RequestConcurrency = 1
	r.TwoPhase = TwoPhaseOff
	r.BuildsDir = "/builds"
	r.OutputLimitKiB = defaultOutputLimitKiB
	r.UnhealthyRequestsLimit = defaultUnhealthyLimit
	r.UnhealthyInterval = defaultUnhealthyPause
	r.FinalUpdateRetryLimit = defaultFinalRetries
	r.FinalUpdateTimeout = defaultFinalTimeout
	r.Artifact = Artifact{UploadTimeout: defaultUploadTimeout, ResponseHeaderTimeout: defaultResponseTimeout}
	r.Kubernetes.setDefaults()
	r.Cache.setDefaults()
	r.Policy.setDefaults()
}

func (k *Kubernetes) setDefaults() {
	k.PollTimeout = defaultPollTimeout
	k.DoNotDisrupt = true
	k.PauseOnQuota, k.PauseOnUnschedulable = true, 1
}

func (p *Policy) setDefaults() {
	p.Mode, p.Default, p.NetworkTier = ModeEnforce, DefaultAllow, defaultNetworkTier
	p.GitLab.CacheFor, p.GitLab.Timeout = defaultFactsLife, defaultFactsTimeout
}

func (c *Cache) setDefaults() {
	c.Sweep = true
	c.S3.setDefaults()
}

func (s *CacheS3) setDefaults() {
	s.AssumeRoleMaxConcurrency = defaultAssumeRoleCalls
}

func (c *Config) normalize() {
	if c.CheckInterval <= 0 {
		c.CheckInterval = defaultCheckInterval
	}
	if c.ShutdownTimeout <= 0 {
		c.ShutdownTimeout = defaultShutdownTimeout
	}
	c.ListenAddress = withPort(c.ListenAddress, defaultMetricsPort)
	for i := range c.Runners {
		c.Runners[i].normalize(c.Labels)
	}
}

func (r *Runner) normalize(labels map[string]string) {
	r.TwoPhase = orElse(r.TwoPhase, TwoPhaseOff)
	if r.RequestConcurrency <= 0 {
		r.RequestConcurrency = 1
	}
	if r.OutputLimitKiB <= 0 {
		r.OutputLimitKiB = defaultOutputLimitKiB
	}
	if r.UnhealthyRequestsLimit <= 0 {
		r.UnhealthyRequestsLimit = defaultUnhealthyLimit
	}
	if r.FinalUpdateTimeout <= 0 {
		r.FinalUpdateTimeout = defaultFinalTimeout
	}
	if r.UnhealthyInterval <= 0 {
		r.UnhealthyInterval = defaultUnhealthyPause
	}
	if r.FinalUpdateRetryLimit <= 0 {
		r.FinalUpdateRetryLimit = defaultFinalRetries
	}
	if r.BuildsDir == "" {
		r.BuildsDir = "/builds"
	}
	r.PrepareTimeout = max(r.PrepareTimeout, 0)
	r.GetSourcesTimeout = max(r.GetSourcesTimeout, 0)
	r.Labels = merged(labels, r.Labels)
	r.Artifact.normalize()
	r.Kubernetes.normalize()
	r.Cache.normalize()
	r.Policy.normalize()
}

func (a *Artifact) normalize() {
	if a.UploadTimeout <= 0 {
		a.UploadTimeout = defaultUploadTimeout
	}
	if a.ResponseHeaderTimeout <= 0 {
		a.ResponseHeaderTimeout = defaultResponseTimeout
	}
}

func (k *Kubernetes) normalize() {
	if k.Namespace == "" {
		k.Namespace = defaultNamespace
	}
	if k.PollTimeout <= 0 {
		k.PollTimeout = defaultPollTimeout
	}
	if k.CABundle.ConfigMap+k.CABundle.Secret != "" {
		k.CABundle.Key = orElse(k.CABundle.Key, defaultCAKey)
	}
}

func (p *Policy) normalize() {
	p.Mode, p.Default = orElse(p.Mode, ModeEnforce), orElse(p.Default, DefaultAllow)
	p.NetworkTier = orElse(p.NetworkTier, defaultNetworkTier)
	if p.GitLab.CacheFor <= 0 {
		p.GitLab.CacheFor = defaultFactsLife
	}
	if p.GitLab.Timeout <= 0 {
		p.GitLab.Timeout = defaultFactsTimeout
	}
}

func (c *Cache) normalize() {
	if c.CompressionLevel == "" {
		c.CompressionLevel = CompressionFastest
	}
	c.S3.normalize()
}

func (s *CacheS3) normalize() {
	if s.AuthenticationType == "" {
		s.AuthenticationType = AuthenticateIAM
		if s.ServerAddress != "" && s.AccessKey != "" && s.SecretKey != "" {
			s.AuthenticationType = AuthenticateKeys
		}
	}
	if s.ConditionalPut == "" {
		s.ConditionalPut = ConditionalAuto
	}
	if s.ServerAddress == "" {
		s.ServerAddress = defaultAWSAddress
	}
}

// merged returns base with over's entries on top, nil when both are empty.
func merged(base, over map[string]string) map[string]string {
	if len(base)+len(over) == 0 {
		return nil
	}
	m := make(map[string]string, len(base)+len(over))
	for k, v := range base {
		m[k] = v
	}
	for k, v := range over {
		m[k] = v
	}
	return m
}

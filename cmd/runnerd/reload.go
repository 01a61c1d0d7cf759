package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/config"
	"github.com/runnerd/runnerd/pkg/job"
)

// reloadInterval is how often the config file is looked at.
const reloadInterval = 3 * time.Second

// follow applies changes of the config file and of token files, and replaces tokens that expire,
// until the daemon is to stop. Its error is that of the listener, when it ended
// by itself.
func (d *daemon) follow(stop stopper, served <-chan error) error {
	if d.config.ListenAddress == "" {
		served = nil
	}
	ticker := time.NewTicker(reloadInterval)
	defer ticker.Stop()
	for {
		d.rotate(stop)
		select {
		case <-stop.drain.Done():
			return nil
		case err := <-served:
			return errors.Join(errors.New("the listener for metrics has ended"), err)
		case <-stop.reload:
			d.reload(stop)
		case <-ticker.C:
			d.slots.SetLimit(d.limit())
			if d.seen.changed(look(d.path)) || tokenChanged(d.config) || bundleChanged(d.config) {
				d.reload(stop)
			}
		}
	}
}

// A fileVersion is how a file looked at some moment; the zero one is that of
// a file that was not there.
type fileVersion struct{ info os.FileInfo }

func look(path string) fileVersion {
	info, err := os.Stat(path)
	if err != nil {
		return fileVersion{}
	}
	return fileVersion{info}
}

// changed reports whether the file has changed since v. A file that is missing
// now is being replaced: the next look sees it. The time alone is not enough:
// it is no finer than a few milliseconds.
func (v fileVersion) changed(now fileVersion) bool {
	switch {
	case now.info == nil:
		return false
	case v.info == nil:
		return true
	}
	return !os.SameFile(v.info, now.info) || v.info.Size() != now.info.Size() || !v.info.ModTime().Equal(now.info.ModTime())
}

// tokenChanged reports whether a token_file holds another token than the one in
// force. One that cannot be read is being replaced: the next look sees it.
func tokenChanged(c *config.Config) bool {
	for _, r := range c.Runners {
		if r.TokenFile == "" {
			continue
		}
		if token, err := config.ReadToken(r.TokenFile); err == nil && token != r.Token {
			return true
		}
	}
	return false
}

// bundleChanged is tokenChanged of the files that ca_bundle names.
func bundleChanged(c *config.Config) bool {
	for _, r := range c.Runners {
		if b := r.Kubernetes.CABundle; b.File != "" {
			if text, err := config.ReadBundle(b.File); err == nil && text != b.PEM {
				return true
			}
		}
	}
	return false
}

// reload puts a changed config file into force, or keeps the old config.
func (d *daemon) reload(stop stopper) {
	d.seen = look(d.path) // before it is read: a later change is seen again
	c, warnings, err := config.Load(d.path)
	if err == nil {
		logWarnings(d.log, warnings)
		c.ListenAddress = cmp.Or(d.listenAddress, c.ListenAddress)
		err = d.apply(stop, c)
	}
	if err != nil {
		d.process.ConfigFailed()
		d.log.Error("configuration not reloaded; the old one stays in force", zap.Error(err))
		return
	}
	d.log.Info("configuration reloaded", zap.Int("runners", len(c.Runners)), zap.Int("concurrent", c.Concurrent))
}

// apply starts the entries of c that do not run yet and drains those that c
// does not have. A running job keeps the settings it started with. On an error
// nothing has changed.
func (d *daemon) apply(stop stopper, c *config.Config) error {
	var kept []*runningEntry
	added := map[*runningEntry]*entry{}
	var running []*runningEntry
	for _, r := range c.Runners {
		setup := setupOf(c, r)
		if e := d.find(setup, kept); e != nil {
			kept, running = append(kept, e), append(running, e)
			continue
		}
		e, err := d.newEntry(setup)
		if err != nil {
			return fmt.Errorf("runner %q: %w", r.Name, err)
		}
		next := &runningEntry{setup: setup}
		added[next], running = e, append(running, next)
	}
	for _, e := range d.running {
		if !slices.Contains(kept, e) {
			e.drain()
		}
	}
	for next, e := range added {
		polling, cancel := context.WithCancel(stop.drain)
		next.drain = cancel
		first := !d.swept[next.setup.Token]
		d.swept[next.setup.Token] = true
		d.entries.Go(func() { e.run(polling, stop.force, first) })
	}
	d.remind(c)
	d.running = running
	d.config = c
	d.slots.SetLimit(d.limit())
	d.level.SetLevel(logLevel(c.LogLevel))
	d.process.ConfigLoaded()
	return nil
}

// remind says what of c is not, or not by itself, put into force.
func (d *daemon) remind(c *config.Config) {
	for key, values := range map[string][2]string{
		"log_format":     {d.config.LogFormat, c.LogFormat},
		"listen_address": {d.config.ListenAddress, c.ListenAddress},
		"pprof":          {strconv.FormatBool(d.config.Pprof), strconv.FormatBool(c.Pprof)},
	} {
		if values[0] != values[1] {
			d.log.Warn("changed setting comes into force at the next start", zap.String("key", key))
		}
	}
	for _, r := range c.Runners {
		if !r.TokenExpiresAt.IsZero() && r.TokenFile != "" {
			d.log.Warn("runner token expires, and runnerd does not write token_file; put a new token into it in time, it is taken up by itself",
				zap.String("name", r.Name), zap.String("token_file", r.TokenFile), zap.Time("expires", r.TokenExpiresAt))
		}
		if !r.TokenExpiresAt.IsZero() && r.FeatureFlags[job.FlagNoTokenRotation] {
			d.log.Warn("runner token expires, and "+job.FlagNoTokenRotation+" keeps it from being replaced",
				zap.String("name", r.Name), zap.Time("expires", r.TokenExpiresAt))
		}
	}
}

// find returns the running entry with that setup, if it is not among taken.
func (d *daemon) find(setup entrySetup, taken []*runningEntry) *runningEntry {
	for _, e := range d.running {
		if !slices.Contains(taken, e) && reflect.DeepEqual(e.setup, setup) {
			return e
		}
	}
	return nil
}

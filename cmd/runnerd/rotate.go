package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/config"
	"github.com/runnerd/runnerd/pkg/gitlab"
	"github.com/runnerd/runnerd/pkg/job"
)

const (
	// rotationTimeout bounds the exchange of one token. It is not cut short when
	// the daemon is to stop: an answer that nobody reads is a token lost.
	rotationTimeout = 30 * time.Second
	// rotationPause is the time between two attempts.
	rotationPause = 10 * time.Minute
)

// rotationDue tells when a token is to be replaced: when three quarters of its
// life are over, as with GitLab Runner. The zero time means never: whoever wrote
// a token_file replaces it.
func rotationDue(r config.Runner) time.Time {
	if r.TokenExpiresAt.IsZero() || r.TokenFile != "" || r.FeatureFlags[job.FlagNoTokenRotation] {
		return time.Time{}
	}
	life := r.TokenExpiresAt.Sub(r.TokenObtainedAt)
	return r.TokenObtainedAt.Add(life / 4 * 3)
}

// rotate replaces the tokens that are due, in GitLab and in the config file.
// Jobs that run are not touched: they have tokens of their own.
func (d *daemon) rotate(stop stopper) {
	now := time.Now()
	if now.Sub(d.rotated) < rotationPause {
		return
	}
	for _, r := range d.config.Runners {
		due := rotationDue(r)
		if due.IsZero() || now.Before(due) {
			continue
		}
		log := d.log.With(zap.String("runner", gitlab.ShortToken(r.Token)), zap.String("name", r.Name))
		if err := d.rotateToken(stop, r); err != nil {
			d.rotated = now
			log.Error("runner token not replaced; it will expire", zap.Time("expires", r.TokenExpiresAt), zap.Error(err))
			continue
		}
		log.Info("runner token replaced", zap.Time("before", r.TokenExpiresAt))
	}
}

// rotateToken replaces one token. It makes sure that the file can be changed
// before it asks GitLab, whose answer makes the old token invalid.
func (d *daemon) rotateToken(stop stopper, r config.Runner) error {
	data, err := os.ReadFile(d.path)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	c, _, err := config.Parse(d.path, data)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(c.Runners, func(other config.Runner) bool { return other.Token == r.Token && other.URL == r.URL })
	if i < 0 {
		return errors.New("the configuration has no runner with this token any more")
	}
	same, err := config.SetToken(d.path, data, i, r.Token, r.TokenObtainedAt, r.TokenExpiresAt)
	if err == nil {
		err = config.WriteFile(d.path, same)
	}
	if err != nil {
		d.process.ConfigSaved(err)
		return err
	}

	got, err := d.resetToken(stop.force, setupOf(c, r))
	if err != nil {
		return err
	}
	stored, err := config.SetToken(d.path, data, i, got.Token, time.Now(), got.ExpiresAt)
	if err == nil {
		err = config.WriteFile(d.path, stored)
	}
	d.process.ConfigSaved(err)
	if err != nil {
		// The new token is the only one that GitLab knows: use it while it lasts.
		c.Runners[i].Token, c.Runners[i].TokenExpiresAt = got.Token, time.Time{}
		d.seen = look(d.path)
		return errors.Join(fmt.Errorf("store the new token; reset it in GitLab and write it into the file: %w", err), d.apply(stop, c))
	}
	d.reload(stop)
	return nil
}

func (d *daemon) resetToken(ctx context.Context, setup entrySetup) (gitlab.Registration, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rotationTimeout)
	defer cancel()
	client, err := gitlab.New(d.clientConfig(setup))
	if err != nil {
		return gitlab.Registration{}, err
	}
	defer client.Close()
	return client.ResetToken(ctx)
}

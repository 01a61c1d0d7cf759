package agent

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/runnerd/runnerd/pkg/job"
)

const (
	retryPause    = 5 * time.Second
	maxRetryPause = 5 * time.Minute
)

// A checkout is how one job gets its sources.
type checkout struct {
	*helper
	job.Sources
	git    string   // path of the program
	env    []string // of git and of hooks
	config string   // git's global configuration, in the private directory
	secret string   // file with the credentials, in the private directory
	fresh  bool     // there was nothing in the project directory
}

// sources gets the project directory ready, in as many tries as the user asked
// for.
func (h *helper) sources(ctx context.Context) error {
	c := &checkout{helper: h, Sources: h.plan.Sources}
	if c.Timeout > 0 {
		h.late = job.Failf(job.JobExecutionTimeout, "getting the sources took longer than %s (get_sources_timeout)", c.Timeout)
		limited, release := context.WithTimeoutCause(ctx, c.Timeout, h.late)
		defer release()
		ctx = limited
	}
	c.fresh = isEmpty(h.plan.ProjectDir)
	defer c.forget()
	err := c.attempt(ctx)
	pause := h.retryPause
	for try := 1; try < c.Attempts && err != nil && ctx.Err() == nil; try++ {
		h.log.Warn(fmt.Sprintf("getting the sources failed (%v); trying again in %s, attempt %d of %d", err, pause, try+1, c.Attempts))
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
		pause = min(2*pause, maxRetryPause)
		if err = c.clearWorktree(ctx); err == nil {
			err = c.attempt(ctx)
		}
	}
	return err
}

// sourcesLate reports whether err is that there was no time left for sources.
func (h *helper) sourcesLate(err error) bool { return h.late != nil && errors.Is(err, h.late) }

func (c *checkout) attempt(ctx context.Context) error {
	return c.phase(ctx, "get_sources", "Getting source from Git repository", c.get)
}

// get is one try.
func (c *checkout) get(ctx context.Context) error {
	switch c.Strategy {
	case job.StrategyNone:
		c.log.Info("Skipping Git repository setup")
		return c.withoutGit(false)
	case job.StrategyEmpty:
		c.log.Info("Skipping Git repository setup and creating an empty build directory")
		return c.withoutGit(true)
	}
	if err := c.setUp(); err != nil {
		return err
	}
	if err := c.hooks(ctx, "pre_get_sources_script", c.PreHooks, c.plan.BuildsDir); err != nil {
		return err
	}
	if err := c.repository(ctx); err != nil {
		return err
	}
	if err := c.hooks(ctx, "post_get_sources_script", c.PostHooks, c.plan.ProjectDir); err != nil {
		return err
	}
	return nil
}

func (c *checkout) withoutGit(remove bool) error {
	if remove {
		if err := os.RemoveAll(c.plan.ProjectDir); err != nil {
			return fmt.Errorf("empty the project directory: %w", err)
		}
	}
	if err := os.MkdirAll(c.plan.ProjectDir, 0o755); err != nil {
		return fmt.Errorf("create the project directory: %w", err)
	}
	c.log.Info("Skipping Git checkout")
	c.log.Info("Skipping Git submodules setup")
	return nil
}

// repository fetches and checks out, with as few processes as can be.
func (c *checkout) repository(ctx context.Context) error {
	fresh, err := c.makeRepository(ctx)
	if err != nil {
		return err
	}
	if err := c.fetch(ctx); err != nil {
		return err
	}
	if !c.Checkout {
		c.log.Info("Skipping Git checkout")
	} else if err := c.checkOut(ctx, fresh); err != nil {
		return err
	}
	if c.Submodules.Strategy == "" {
		c.log.Info("Skipping Git submodules setup")
		return nil
	}
	return c.submodules(ctx, fresh)
}

// makeRepository leaves a repository with GitLab's remote; fresh says that
// there was nothing before.
func (c *checkout) makeRepository(ctx context.Context) (fresh bool, err error) {
	dir := c.plan.ProjectDir
	if c.Strategy == job.StrategyClone {
		if err := os.RemoveAll(dir); err != nil {
			return false, fmt.Errorf("remove the project directory: %w", err)
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return false, fmt.Errorf("create the project directory: %w", err)
	}
	fresh = isEmpty(dir)
	existing, err := tidyRepository(dir)
	if err != nil {
		return false, err
	}
	args := []string{"init", "--template", filepath.Join(c.private, "template")}
	if c.ObjectFormat != "" {
		args = append(args, "--object-format", c.ObjectFormat)
	}
	c.log.Info(c.fetchNotice())
	if err := c.run(ctx, c.plan.BuildsDir, append(args, dir)...); err != nil {
		return false, err
	}
	if !existing {
		c.log.Info("Created fresh repository.")
	}
	return fresh, nil
}

func (c *checkout) fetchNotice() string {
	if c.Depth > 0 {
		return fmt.Sprintf("Fetching changes with git depth set to %d...", c.Depth)
	}
	return "Fetching changes..."
}

func (c *checkout) fetch(ctx context.Context) error {
	args := append([]string{"fetch", "origin", "--no-recurse-submodules"}, c.Refspecs...)
	if c.Depth > 0 {
		args = append(args, "--depth", fmt.Sprint(c.Depth))
	} else if _, err := os.Stat(filepath.Join(c.plan.ProjectDir, ".git", "shallow")); err == nil {
		args = append(args, "--unshallow")
	}
	return c.run(ctx, c.plan.ProjectDir, append(args, c.FetchFlags...)...)
}

func (c *checkout) checkOut(ctx context.Context, fresh bool) error {
	c.log.Info(fmt.Sprintf("Checking out %.8s as detached HEAD (ref is %s)...", c.SHA, c.Ref))
	if err := c.run(ctx, c.plan.ProjectDir, "checkout", "-f", "-q", c.SHA); err != nil {
		return err
	}
	if !fresh && c.CleanFlags != nil {
		if err := c.run(ctx, c.plan.ProjectDir, append([]string{"clean"}, c.CleanFlags...)...); err != nil {
			return err
		}
	}
	return c.lfs(ctx)
}

// clearWorktree gets rid of what a failed try left.
func (c *checkout) clearWorktree(ctx context.Context) error {
	title := "Deleting all tracked and untracked files due to source fetch failure"
	return c.phase(ctx, "clear_worktree", title, func(ctx context.Context) error {
		dir := c.plan.ProjectDir
		if _, err := os.Lstat(filepath.Join(dir, ".git", "HEAD")); c.fresh || err != nil {
			return os.RemoveAll(dir)
		}
		err := c.run(ctx, dir, "rm", "-rf", "--ignore-unmatch", "--quiet", ".")
		if err == nil {
			err = c.run(ctx, dir, "clean", "-ffdx", "-q")
		}
		return err
	})
}

// forget removes the credentials.
func (c *checkout) forget() {
	secrets := []string{filepath.Join(c.private, clientKeyFile)}
	if c.secret != "" {
		secrets = append(secrets, c.secret)
	}
	for _, file := range secrets {
		if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
			c.log.Warn(fmt.Sprintf("the credentials for git could not be removed: %v", err))
		}
	}
}

// origin returns scheme and host of a URL, or "" if it has none.
func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

func isEmpty(dir string) bool {
	file, err := os.Open(dir)
	if err != nil {
		return errors.Is(err, os.ErrNotExist)
	}
	defer file.Close()
	names, _ := file.Readdirnames(1)
	return len(names) == 0
}

package agent

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// submodules updates the project's submodules.
func (c *checkout) submodules(ctx context.Context, fresh bool) error {
	c.log.Info(c.submoduleNotice())
	dir := c.plan.ProjectDir
	if _, err := os.Lstat(filepath.Join(dir, ".gitmodules")); os.IsNotExist(err) {
		return nil // git would start several processes to find out
	}
	if !fresh {
		if err := c.resetSubmodules(ctx); err != nil {
			return err
		}
	}
	if err := c.run(ctx, dir, c.submoduleUpdate()...); err != nil {
		if ctx.Err() != nil {
			return err
		}
		c.log.Warn("Updating submodules failed. Retrying...")
		if err := c.resetSubmodules(ctx); err != nil {
			return err
		}
		if err := c.run(ctx, dir, c.submoduleUpdate()...); err != nil {
			return err
		}
	}
	if !fresh && c.CleanFlags != nil {
		if err := c.forEachSubmodule(ctx, append([]string{"clean"}, c.CleanFlags...)...); err != nil {
			return err
		}
	}
	return c.submoduleLFS(ctx)
}

func (c *checkout) submoduleNotice() string {
	text := "Updating/initializing submodules"
	if c.recursive() {
		text += " recursively"
	}
	if c.Submodules.Depth > 0 {
		text += fmt.Sprintf(" with git depth set to %d", c.Submodules.Depth)
	}
	return text + "..."
}

func (c *checkout) recursive() bool { return c.Submodules.Strategy == "recursive" }

// resetSubmodules brings the submodules of an earlier job or try in line with
// .gitmodules.
func (c *checkout) resetSubmodules(ctx context.Context) error {
	if err := c.run(ctx, c.plan.ProjectDir, "submodule", "init"); err != nil {
		return err
	}
	args := []string{"submodule", "sync"}
	if c.recursive() {
		args = append(args, "--recursive")
	}
	if err := c.run(ctx, c.plan.ProjectDir, c.withPaths(args)...); err != nil {
		return err
	}
	clean := c.CleanFlags
	if clean == nil {
		clean = []string{"-ffdx"}
	}
	if err := c.forEachSubmodule(ctx, append([]string{"clean"}, clean...)...); err != nil {
		return err
	}
	return c.forEachSubmodule(ctx, "reset", "--hard")
}

func (c *checkout) submoduleUpdate() []string {
	args := []string{"submodule", "update", "--init"}
	if c.recursive() {
		args = append(args, "--recursive")
	}
	if c.Submodules.Depth > 0 {
		args = append(args, "--depth", fmt.Sprint(c.Submodules.Depth))
	}
	return c.withPaths(append(args, c.Submodules.UpdateFlags...))
}

func (c *checkout) withPaths(args []string) []string {
	if len(c.Submodules.Paths) == 0 {
		return args
	}
	return append(append(args, "--"), c.Submodules.Paths...)
}

// forEachSubmodule runs git in each submodule that is checked out.
func (c *checkout) forEachSubmodule(ctx context.Context, args ...string) error {
	list := []string{"submodule", "--quiet", "foreach"}
	if c.recursive() {
		list = append(list, "--recursive")
	}
	// A single argument would be taken for a script.
	return c.run(ctx, c.plan.ProjectDir, append(append(list, "git"), args...)...)
}

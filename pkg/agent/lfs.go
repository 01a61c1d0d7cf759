package agent

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
)

// lfsFilter lets "git lfs pull" replace pointers by the files themselves. It
// is not in force during the checkout, which leaves pointers then.
var lfsFilter = []string{
	"-c", "filter.lfs.process=git-lfs filter-process", "-c", "filter.lfs.required=true",
	"-c", "filter.lfs.clean=git-lfs clean -- %f", "-c", "filter.lfs.smudge=git-lfs smudge -- %f",
}

// lfs fetches what Git LFS keeps elsewhere, if the project uses it.
func (c *checkout) lfs(ctx context.Context) error {
	if c.SkipLFS || !usesLFS(c.plan.ProjectDir) {
		return nil
	}
	if !hasLFS() {
		c.log.Warn("the project uses Git LFS, but the helper image has no git-lfs: its files stay pointers")
		return nil
	}
	return c.run(ctx, c.plan.ProjectDir, append(lfsFilter, "lfs", "pull")...)
}

func (c *checkout) submoduleLFS(ctx context.Context) error {
	if c.SkipLFS || !hasLFS() {
		return nil
	}
	return c.forEachSubmodule(ctx, append(lfsFilter, "lfs", "pull")...)
}

func hasLFS() bool {
	_, err := findProgram("git-lfs")
	return err == nil
}

// usesLFS says whether the checked-out commit can have files in Git LFS. It
// may be wrong in saying yes; asking git costs more than that.
func usesLFS(dir string) bool {
	attributes, err := os.ReadFile(filepath.Join(dir, ".gitattributes"))
	if err == nil && bytes.Contains(attributes, []byte("filter=lfs")) {
		return true
	}
	return fileContains(filepath.Join(dir, ".git", "index"), "/.gitattributes")
}

// fileContains says whether text is in the file; a file that cannot be read
// has no text.
func fileContains(path, text string) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	buf := make([]byte, 0, 64<<10)
	for {
		n, err := file.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if bytes.Contains(buf, []byte(text)) {
			return true
		}
		if errors.Is(err, io.EOF) || err != nil {
			return false
		}
		// The text may lie across two reads.
		buf = buf[:copy(buf, buf[max(0, len(buf)-len(text)):])]
	}
}

//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/runnerd/runnerd/internal/standin"
)

// What goes wrong with a cache is a warning in the job's log; the job itself
// goes on as if there were no cache. These jobs are processes of this machine:
// daemon, agent and object store are the real ones.

// fill saves a cache under the key "k" and returns the digest of its files.
func (s *site) fill(size string) string {
	s.t.Helper()
	j := s.add(standin.JobSpec{
		Name: "fill", Cache: onlyTree("pull-push"),
		Script: []string{"mkdir -p tree/d && head -c " + size + " /dev/urandom > tree/large; for f in $(seq 1 200); do echo content $f > tree/d/$f; done", digest},
	})
	s.finish(j, standin.Success)
	says(s.t, j, "Created cache")
	return digestOf(s.t, j)
}

func onlyTree(mode string) []standin.Cache {
	return []standin.Cache{{Key: "k-non_protected", Paths: []string{"tree/"}, Policy: mode}}
}

// restoresNothing runs a job that finds no file of a cache, and says why.
func (s *site) restoresNothing(why string) {
	s.t.Helper()
	j := s.add(standin.JobSpec{Name: "restores nothing", Cache: onlyTree("pull"), Script: []string{"test ! -e tree && echo no tree"}})
	s.finish(j, standin.Success)
	says(s.t, j, why)
}

// restores runs a job that finds the files of a cache.
func (s *site) restores(want string) {
	s.t.Helper()
	j := s.add(standin.JobSpec{Name: "restores", Cache: onlyTree("pull"), Script: []string{digest}})
	s.finish(j, standin.Success)
	if got := digestOf(s.t, j); got != want {
		s.t.Errorf("restored tree has digest %s, saved was %s; the log:\n%s", got, want, j.Text())
	}
}

func localSite(t testing.TB) (*site, *objects) {
	t.Helper()
	store, lines := bucket(t)
	return start(t, options{cache: lines, concurrent: 4, executor: "local"}), open(t, store)
}

func TestCacheBytesFlipped(t *testing.T) {
	t.Parallel()
	s, objects := localSite(t)
	s.fill("20M")
	name := objects.segments()[1]
	objects.change(name, func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
	s.restoresNothing("corrupt")
	s.fill("1M") // a full save repairs it
	s.restores(s.fill("2M"))
}

func TestCacheSegmentMissing(t *testing.T) {
	t.Parallel()
	s, objects := localSite(t)
	s.fill("20M")
	objects.remove(objects.segments()[1])
	s.restoresNothing("corrupt")
}

func TestCacheSegmentCutOff(t *testing.T) {
	t.Parallel()
	s, objects := localSite(t)
	s.fill("20M")
	objects.change(objects.segments()[0], func(b []byte) []byte { return b[:len(b)-1] })
	s.restoresNothing("WARNING")
}

func TestCacheHeadDamaged(t *testing.T) {
	t.Parallel()
	s, objects := localSite(t)
	s.fill("1M")
	for _, text := range []string{"", "{", "[]", `{"v":1}`, strings.Repeat("x", 300<<10)} {
		objects.change(objects.head(), func([]byte) []byte { return []byte(text) })
		s.restoresNothing("broken")
	}
	s.restores(s.fill("1M"))
}

// A cache that nobody may read is not a failure of the job.
func TestCacheDenied(t *testing.T) {
	t.Parallel()
	_, lines := bucket(t)
	lines = strings.Replace(lines, `SecretKey = "`, `SecretKey = "not-`, 1)
	s := start(t, options{cache: lines, executor: "local"})
	s.restoresNothing("denied")
}

func TestCacheStoreAway(t *testing.T) {
	t.Parallel()
	store, lines := bucket(t)
	s := start(t, options{cache: lines, concurrent: 4, executor: "local"})
	want := s.fill("1M")
	store.Kill()
	j := s.add(standin.JobSpec{Name: "without a store", Cache: onlyTree("pull-push"), Script: []string{"mkdir -p tree && echo x > tree/x"}})
	s.finish(j, standin.Success)
	says(t, j, "WARNING")
	store.Restart()
	s.restores(want)
}

// The store is killed while segments go out: nothing is published, and what was
// there before stays.
func TestCacheStoreKilledDuringSave(t *testing.T) {
	t.Parallel()
	store, lines := bucket(t)
	s := start(t, options{cache: lines, concurrent: 4, executor: "local"})
	objects := open(t, store)
	want := s.fill("1M")
	j := s.add(standin.JobSpec{
		Name: "saves", Cache: onlyTree("pull-push"), Variables: []standin.Variable{{Key: "CACHE_REQUEST_TIMEOUT", Value: "1"}},
		Script: []string{"for i in 1 2 3 4 5 6; do head -c 60M /dev/urandom > tree/new$i; done"},
	})
	wait(t, "the first new segment", func() bool { return len(objects.segments()) > 2 })
	store.Kill()
	s.finish(j, standin.Success)
	says(t, j, "Failed to create cache")
	store.Restart()
	s.restores(want)
	objects.sweptTo(1)
}

// The store is killed while segments come in, and comes back: the job goes on
// with all of the cache, or with nothing of it.
func TestCacheStoreKilledDuringRestore(t *testing.T) {
	t.Parallel()
	for _, back := range []bool{false, true} {
		t.Run(fmt.Sprintf("back=%t", back), func(t *testing.T) {
			store, lines := bucket(t)
			s := start(t, options{cache: lines, concurrent: 4, executor: "local"})
			want := s.fill("200M")
			j := s.add(standin.JobSpec{Name: "restores", Cache: onlyTree("pull"), Script: []string{"if test -e tree; then " + digest + "; else echo no tree; fi"}})
			s.until(j, "the restore", func(j *standin.Job) bool { return strings.Contains(j.Text(), "Checking cache for") })
			store.Kill()
			if back {
				store.Restart()
			}
			s.finish(j, standin.Success)
			if !strings.Contains(j.Text(), "no tree") && digestOf(t, j) != want {
				t.Errorf("half a cache was restored:\n%s", j.Text())
			}
			if !back {
				store.Restart()
			}
			s.restores(want)
		})
	}
}

// The folder of the project is too small for the cache.
func TestCacheDiskFull(t *testing.T) {
	t.Parallel()
	store, lines := bucket(t)
	dir := filepath.Join(t.TempDir(), "builds")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("runnerd-e2e", dir, "tmpfs", 0, "size=64m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	s := start(t, options{cache: lines, executor: "local"})
	want := s.fill("100M")
	small := start(t, options{cache: strings.Replace(lines, "[runners.cache]", "[runners.cache]\nsweep = false", 1), executor: "local", runner: fmt.Sprintf("builds_dir = %q", dir)})
	small.restoresNothing("disk_full")
	s.restores(want)
	_ = store
}

// Two jobs write one key at once: one of them wins, wholly.
func TestCacheTwoWriters(t *testing.T) {
	t.Parallel()
	s, objects := localSite(t)
	var jobs []*standin.Job
	for i := range 4 {
		jobs = append(jobs, s.add(standin.JobSpec{
			Name: fmt.Sprint("writer ", i), Cache: onlyTree("push"),
			Script: []string{"mkdir -p tree && head -c 30M /dev/urandom > tree/a && head -c 30M /dev/urandom > tree/b", digest},
		}))
	}
	var saved []string
	for _, j := range jobs {
		s.finish(j, standin.Success)
		saved = append(saved, digestOf(t, j))
	}
	j := s.add(standin.JobSpec{Name: "reader", Cache: onlyTree("pull"), Script: []string{digest}})
	s.finish(j, standin.Success)
	if got := digestOf(t, j); !strings.Contains(strings.Join(saved, " "), got) {
		t.Errorf("restored %s, saved were %s", got, saved)
	}
	objects.sweptTo(1)
}

// The agent or the daemon is killed at each stage: what was stored before stays,
// and nothing new can be read.
func TestCacheKills(t *testing.T) {
	t.Parallel()
	for _, stage := range []string{"restore_cache", "step_script", "archive_cache"} {
		for _, who := range []string{"agent", "daemon"} {
			t.Run(who+" in "+stage, func(t *testing.T) {
				store, lines := bucket(t)
				s := start(t, options{cache: lines, executor: "local"})
				objects := open(t, store)
				want := s.fill("150M")
				stored := len(objects.segments())
				j := s.add(standin.JobSpec{
					Name: "killed", Cache: onlyTree("pull-push"),
					Script: []string{"head -c 300M /dev/urandom > tree/new; echo script runs; sleep 1"},
				})
				if stage == "archive_cache" {
					// The store tells it at once. The log reaches GitLab every few seconds,
					// and a save may be over by then.
					wait(t, "the first new segment", func() bool { return len(objects.segments()) > stored })
				} else {
					s.until(j, stage, func(j *standin.Job) bool { return strings.Contains(j.Text(), ":"+stage+"\r") })
				}
				if who == "daemon" {
					s.kill()
					s.runner.ManagerCrashed()
					s.startDaemon()
				} else {
					s.killAgents()
					s.until(j, "its end", func(j *standin.Job) bool { return j.State() == standin.Failed })
				}
				s.restores(want)
				objects.sweptTo(1)
			})
		}
	}
}

// kill ends the daemon as a crash would, with the processes of its jobs.
func (s *site) kill() {
	s.t.Helper()
	agents := s.agents()
	_ = s.daemon.Process.Kill() // it may have ended
	<-s.exited
	for _, pid := range agents {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

func (s *site) killAgents() {
	s.t.Helper()
	for _, pid := range s.agents() {
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
	}
}

// agents are the processes that the daemon has started.
func (s *site) agents() []int {
	s.t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", s.daemon.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	var pids []int
	for _, file := range tasks {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // a thread that has ended
		}
		for _, word := range strings.Fields(string(text)) {
			var pid int
			if _, err := fmt.Sscan(word, &pid); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

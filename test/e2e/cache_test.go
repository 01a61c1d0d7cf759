//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/docker/go-units"

	"github.com/runnerd/runnerd/internal/miniotest"
	"github.com/runnerd/runnerd/internal/standin"
)

// bucket starts an object store that the pods reach, and returns the lines of a
// config that uses it.
func bucket(t testing.TB) (*miniotest.Server, string) {
	t.Helper()
	store := miniotest.Start(t, miniotest.Options{Host: ground.node})
	return store, fmt.Sprintf(`
[runners.cache]
Type = "s3"
Shared = true
lifetime = "30d"

[runners.cache.s3]
ServerAddress = %q
BucketName = %q
AccessKey = %q
SecretKey = %q
BucketLocation = "us-east-1"
Insecure = true
`, store.Endpoint, store.Bucket, store.AccessKey, store.SecretKey)
}

// makeTree is a script that makes about 500 MB in 5,006 files.
const makeTree = `mkdir -p tree && for d in $(seq 1 50); do mkdir tree/$d; for f in $(seq 1 100); do head -c $((f * 300)) /dev/urandom > tree/$d/$f; done; done
for i in 1 2 3 4 5 6; do head -c 71M /dev/urandom > tree/big$i; done`

// changeTree changes 1 % of them.
const changeTree = `for d in $(seq 1 50); do echo changed > tree/$d/50; done; rm tree/7/7; echo added > tree/7/new`

// digest prints one sum over names and contents.
const digest = `echo "digest $(cd tree && find . -type f | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -c1-64)"`

var (
	digestLine = regexp.MustCompile(`(?m)^digest ([0-9a-f]{64})$`)
	sentLine   = regexp.MustCompile(`Cache \S+: sent (\S+) for`)
)

// digestOf returns what the script digest has printed.
func digestOf(t testing.TB, j *standin.Job) string {
	t.Helper()
	m := digestLine.FindStringSubmatch(j.Text())
	if m == nil {
		t.Fatalf("no digest in the log of %s:\n%s", j.Name(), j.Text())
	}
	return m[1]
}

// sentBy returns how many bytes a job says it has sent.
func sentBy(t testing.TB, j *standin.Job) int64 {
	t.Helper()
	m := sentLine.FindStringSubmatch(j.Text())
	if m == nil {
		t.Fatalf("job %s has sent no cache; its log:\n%s", j.Name(), j.Text())
	}
	n, err := units.FromHumanSize(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// says checks that a job's log has every one of the texts.
func says(t testing.TB, j *standin.Job, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(j.Text(), text) {
			t.Errorf("the log of job %s does not say %q:\n%s", j.Name(), text, j.Text())
		}
	}
}

func tree(mode string) []standin.Cache {
	return []standin.Cache{{Key: "tree-non_protected", Paths: []string{"tree/"}, Policy: mode}}
}

// A cache of 500 MB is saved, restored, changed by 1 % and left as it is.
func TestCacheOfHalfAGigabyte(t *testing.T) { // alone: it is work for both cores
	_, lines := bucket(t)
	s := start(t, options{cache: lines, concurrent: 1})
	run := func(name string, script ...string) *standin.Job {
		j := s.add(standin.JobSpec{Name: name, Script: script, Cache: tree("pull-push")})
		s.finish(j, standin.Success)
		t.Logf("%s:\n%s%s", name, section(t, j.Text(), "restore_cache"), section(t, j.Text(), "archive_cache"))
		return j
	}
	first := run("saves", makeTree, digest)
	says(t, first, "Cache tree-non_protected: miss", "Created cache")
	full := sentBy(t, first)
	if full < 400e6 {
		t.Errorf("the first job sent %d bytes, want about 500 MB", full)
	}

	second := run("restores", digest)
	says(t, second, "Cache tree-non_protected: hit", "nothing sent")
	if got, want := digestOf(t, second), digestOf(t, first); got != want {
		t.Errorf("restored tree has digest %s, saved was %s", got, want)
	}

	third := run("changes 1 %", changeTree, digest)
	if sent := sentBy(t, third); sent*100 >= full {
		t.Errorf("after a change of 1 %% %d bytes were sent, %d the first time", sent, full)
	}

	fourth := run("changes nothing", digest)
	says(t, fourth, "Cache tree-non_protected: hit", "nothing sent")
	if got, want := digestOf(t, fourth), digestOf(t, third); got != want {
		t.Errorf("restored tree has digest %s, saved was %s", got, want)
	}
}

// Two hundred jobs share twenty keys: whatever is restored was saved.
func TestJobsSharingKeys(t *testing.T) { // alone, as the one above
	const jobs, keys = 200, 20
	_, lines := bucket(t)
	s := start(t, options{cache: lines, concurrent: 8, executor: "local"})
	const sum = `$(cd c && find . -type f ! -name digest | LC_ALL=C sort | xargs -r cat /dev/null | sha256sum | cut -c1-64)`
	script := []string{
		`mkdir -p c && if [ -f c/digest ]; then echo "restored $(cat c/digest)"; test "$(cat c/digest)" = "` + sum + `"; fi`,
		`for f in 1 2 3 4 5 6 7 8 9; do test -f c/$f || head -c 20000 /dev/urandom > c/$f; done; head -c 3000 /dev/urandom > c/$(($CI_JOB_ID % 9 + 1))`,
		`echo "` + sum + `" > c/digest; echo "saved $(cat c/digest)"`,
	}
	var all []*standin.Job
	for i := range jobs {
		all = append(all, s.add(standin.JobSpec{
			Name: "job " + strconv.Itoa(i), Script: script,
			Cache: []standin.Cache{{Key: fmt.Sprintf("key-%d-non_protected", i%keys), Paths: []string{"c"}}},
		}))
	}
	saved := make([]map[string]bool, keys)
	restored := 0
	for i, j := range all {
		s.finish(j, standin.Success)
		if saved[i%keys] == nil {
			saved[i%keys] = map[string]bool{}
		}
		saved[i%keys][word(j.Text(), "saved")] = true
	}
	for i, j := range all {
		if d := word(j.Text(), "restored"); d != "" {
			restored++
			if !saved[i%keys][d] {
				t.Errorf("job %s restored %s, which no job with its key has saved: %v", j.Name(), d, slices.Collect(maps.Keys(saved[i%keys])))
			}
		}
		if strings.Contains(j.Text(), "WARNING") && !strings.Contains(j.Text(), "conflict") {
			t.Errorf("job %s warns:\n%s", j.Name(), j.Text())
		}
	}
	t.Logf("%d of %d jobs restored a cache", restored, jobs)
	metrics, err := s.get("/metrics")
	if err != nil {
		t.Fatal(err)
	}
	hits := regexp.MustCompile(`(?m)^runnerd_cache_restores_total\{.*result="hit".*\} (\d+)$`).FindStringSubmatch(metrics)
	if hits == nil || hits[1] != strconv.Itoa(restored) {
		t.Errorf("the metrics say hits %q, the logs %d", hits, restored)
	}
	if restored < jobs/2 {
		t.Errorf("only %d of %d jobs restored a cache", restored, jobs)
	}
}

// word returns what follows the first line's beginning key, up to the line's end.
func word(text, key string) string {
	m := regexp.MustCompile(`(?m)^` + key + ` ([0-9a-f]{64})$`).FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	return m[1]
}

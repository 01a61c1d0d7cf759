package artifact_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerd/runnerd/internal/standin"
	"github.com/runnerd/runnerd/pkg/artifact"
)

// A statement is what readers of the format expect.
type statement struct {
	Type          string `json:"_type"`
	PredicateType string `json:"predicateType"`
	Subject       []struct {
		Name   string            `json:"name"`
		Digest map[string]string `json:"digest"`
	} `json:"subject"`
	Predicate struct {
		BuildDefinition struct {
			BuildType            string            `json:"buildType"`
			ExternalParameters   map[string]string `json:"externalParameters"`
			InternalParameters   map[string]string `json:"internalParameters"`
			ResolvedDependencies []struct {
				URI    string            `json:"uri"`
				Digest map[string]string `json:"digest"`
			} `json:"resolvedDependencies"`
		} `json:"buildDefinition"`
		RunDetails struct {
			Builder struct {
				ID      string            `json:"id"`
				Version map[string]string `json:"version"`
			} `json:"builder"`
			Metadata struct {
				InvocationID string    `json:"invocationID"`
				StartedOn    time.Time `json:"startedOn"`
				FinishedOn   time.Time `json:"finishedOn"`
			} `json:"metadata"`
		} `json:"runDetails"`
	} `json:"predicate"`
}

func provenance() *artifact.Provenance {
	return &artifact.Provenance{
		Name: "artifacts-metadata.json", Source: "https://gitlab.example.com/g/p", Commit: strings.Repeat("a", 40), EntryPoint: "build",
		Parameters: []string{"CI", "SECRET", "source"}, JobID: 7, Started: time.Now().Add(-time.Minute),
		Runner: "runner", RunnerURL: "https://gitlab.example.com/g/p/-/runners/3", Executor: "kubernetes", Architecture: "amd64",
		Version: map[string]string{"runnerd": "1.2.3"},
	}
}

// stated is the statement of an archive, which must be its last entry, and what
// the archive's other files hash to.
func stated(t *testing.T, archive []byte) (s statement, sums map[string]string) {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	must(t, err)
	sums = map[string]string{}
	for i, f := range z.File {
		r, err := f.Open()
		must(t, err)
		text, err := io.ReadAll(r)
		must(t, err)
		if i == len(z.File)-1 {
			if f.Name != "artifacts-metadata.json" || f.Mode() != 0o644 {
				t.Errorf("the last entry is %s %s", f.Mode(), f.Name)
			}
			d := json.NewDecoder(bytes.NewReader(text))
			d.DisallowUnknownFields()
			if err := d.Decode(&s); err != nil {
				t.Fatalf("the statement cannot be read: %v\n%s", err, text)
			}
		} else if f.Mode().IsRegular() {
			sum := sha256.Sum256(text)
			sums[f.Name] = hex.EncodeToString(sum[:])
		}
	}
	return s, sums
}

// digests are those that the statement says.
func (s statement) digests() map[string]string {
	sums := map[string]string{}
	for _, subject := range s.Subject {
		sums[subject.Name] = subject.Digest["sha256"]
	}
	return sums
}

func TestProvenance(t *testing.T) {
	s := newSite(t, standin.Options{})
	s.write("out/app", "program")
	s.write(`out/odd "ü" <name>`, "")
	must(t, os.Symlink("app", s.path("out/latest")))
	s.write("artifacts-metadata.json", "the job's own")
	j := s.run(standin.JobSpec{})
	u := s.of(j, "*")
	u.Provenance = provenance()
	before := time.Now().Truncate(time.Second)
	sent, err := s.upload(u)
	must(t, err)
	if sent.Files != 2 || len(sent.Notes) != 1 || !strings.Contains(sent.Notes[0], `"artifacts-metadata.json" is where the provenance statement has to be`) {
		t.Errorf("sent %+v", sent)
	}

	got, sums := stated(t, j.Uploads()[0].Data)
	if diff := cmp.Diff(sums, got.digests()); diff != "" || len(sums) != 2 || len(got.Subject) != 2 {
		t.Errorf("files and subjects (-archive +statement):\n%s", diff)
	}
	build, run := got.Predicate.BuildDefinition, got.Predicate.RunDetails
	for what, pair := range map[string][2]string{
		"type":           {got.Type, "https://in-toto.io/Statement/v0.1"},
		"predicate type": {got.PredicateType, "https://slsa.dev/provenance/v1"},
		"builder":        {run.Builder.ID, "https://gitlab.example.com/g/p/-/runners/3"},
		"version":        {run.Builder.Version["runnerd"], "1.2.3"},
		"invocation":     {run.Metadata.InvocationID, "7"},
		"commit":         {build.ResolvedDependencies[0].Digest["gitCommit"], strings.Repeat("a", 40)},
		"dependency":     {build.ResolvedDependencies[0].URI, "https://gitlab.example.com/g/p"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %q, want %q", what, pair[0], pair[1])
		}
	}
	// A variable of the job takes the place of nothing.
	external := map[string]string{"CI": "", "SECRET": "", "source": "https://gitlab.example.com/g/p", "entryPoint": "build"}
	if diff := cmp.Diff(external, build.ExternalParameters); diff != "" {
		t.Errorf("external parameters (-want +got):\n%s", diff)
	}
	internal := map[string]string{"architecture": "amd64", "executor": "kubernetes", "job": "7", "name": "runner"}
	if diff := cmp.Diff(internal, build.InternalParameters); diff != "" {
		t.Errorf("internal parameters (-want +got):\n%s", diff)
	}
	if run.Metadata.FinishedOn.Before(before) || !run.Metadata.StartedOn.Before(before) {
		t.Errorf("it ran from %v to %v", run.Metadata.StartedOn, run.Metadata.FinishedOn)
	}
}

// What a refused sending has hashed is not in the statement of the next one.
func TestProvenanceOfTheSecondTry(t *testing.T) {
	s := newSite(t, standin.Options{})
	s.write("a", "text")
	j := s.run(standin.JobSpec{})
	s.gitlab.Inject(standin.Fault{Endpoint: standin.UploadArtifact, Status: 500})
	u := s.of(j, "a")
	u.Provenance = provenance()
	_, err := s.upload(u)
	must(t, err)
	if got, _ := stated(t, j.Uploads()[0].Data); len(got.Subject) != 1 {
		t.Errorf("%d subjects, want 1", len(got.Subject))
	}
}

// Only zip archives hold a statement.
func TestNoProvenanceInReports(t *testing.T) {
	s := newSite(t, standin.Options{})
	s.write("a", "text")
	j := s.run(standin.JobSpec{})
	u := s.of(j, "a")
	u.Type, u.Format, u.FileName, u.Provenance = "sast", artifact.Raw, "a", provenance()
	_, err := s.upload(u)
	must(t, err)
	if got := j.Uploads()[0].Data; string(got) != "text" {
		t.Errorf("uploaded %q", got)
	}
}

// Neither files nor their number make memory grow.
func TestProvenanceOfLargeFile(t *testing.T) {
	const limit, size, files = 24 << 20, 300 << 20, 2000
	s := &site{t: t, dir: t.TempDir()}
	s.write("big", "")
	must(t, os.Truncate(s.path("big"), size))
	for i := range files {
		s.write("small/"+strings.Repeat("long", 40)+string(rune('0'+i%10))+"/"+strings.Repeat("x", 1+i/10), "x")
	}
	s.open()
	received := s.receive(func() {})
	u := artifact.Upload{JobID: 1, Token: "t", FileName: "f.zip", Format: artifact.Zip, Level: "fastest", Entries: s.collect("*").Entries, Provenance: provenance()}
	peak := watchHeap(t)
	_, err := s.newClient(received.url).Upload(t.Context(), s.root, u)
	most := peak()
	must(t, err)
	if most > limit {
		t.Errorf("the heap grew to %d bytes, want %d at most", most, limit)
	}
	if z := received.zip(); z.File[len(z.File)-1].Name != "artifacts-metadata.json" {
		t.Error("there is no statement")
	}
}

func TestStatementName(t *testing.T) {
	for name, want := range map[string]string{"artifacts": "artifacts-metadata.json", "": "default-metadata.json", "a/b c": "b c-metadata.json"} {
		if got := artifact.StatementName(name); got != want {
			t.Errorf("of %q: %q, want %q", name, got, want)
		}
	}
}

package artifact

import (
	"archive/zip"
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/runnerd/runnerd/pkg/cache/archive/tree"
	"github.com/runnerd/runnerd/pkg/confine"
)

// A Provenance says where an artifact comes from. It becomes an in-toto
// statement in the archive, behind the files that it is about.
type Provenance struct {
	Name string // of the file; see [StatementName]

	Source     string   // URL of the project
	Commit     string   // its hash
	EntryPoint string   // the job's name
	Parameters []string // names of variables; their values are nobody's business
	JobID      int64
	Started    time.Time

	Runner       string // its name
	RunnerURL    string // where GitLab shows it
	Executor     string
	Architecture string            // of the machine that ran the job
	Version      map[string]string // of what ran it
}

// StatementName returns the name of an artifact's statement. name is expanded;
// only its last component counts.
func StatementName(name string) string { return baseName(name) + "-metadata.json" }

// What the statement says of itself, as GitLab documents it for its own runner.
const (
	statementType = "https://in-toto.io/Statement/v0.1"
	predicateType = "https://slsa.dev/provenance/v1"
	buildType     = "https://gitlab.com/gitlab-org/gitlab-runner/-/blob/main/PROVENANCE.md"
)

type predicate struct {
	BuildDefinition buildDefinition `json:"buildDefinition"`
	RunDetails      runDetails      `json:"runDetails"`
}

type buildDefinition struct {
	BuildType            string             `json:"buildType"`
	ExternalParameters   map[string]string  `json:"externalParameters"`
	InternalParameters   internalParameters `json:"internalParameters"`
	ResolvedDependencies []resource         `json:"resolvedDependencies"`
}

type internalParameters struct {
	Architecture string `json:"architecture"`
	Executor     string `json:"executor"`
	Job          string `json:"job"`
	Name         string `json:"name"`
}

type resource struct {
	URI    string            `json:"uri"`
	Digest map[string]string `json:"digest"`
}

type runDetails struct {
	Builder  builder     `json:"builder"`
	Metadata runMetadata `json:"metadata"`
}

type builder struct {
	ID      string            `json:"id"`
	Version map[string]string `json:"version"`
}

type runMetadata struct {
	InvocationID string `json:"invocationID"`
	StartedOn    string `json:"startedOn"`
	FinishedOn   string `json:"finishedOn"`
}

func (p *Provenance) predicate(now time.Time) predicate {
	external := map[string]string{}
	for _, name := range p.Parameters {
		external[name] = ""
	}
	external["source"], external["entryPoint"] = p.Source, p.EntryPoint
	job := fmt.Sprint(p.JobID)
	return predicate{
		BuildDefinition: buildDefinition{
			BuildType: buildType, ExternalParameters: external,
			InternalParameters: internalParameters{Architecture: p.Architecture, Executor: p.Executor, Job: job, Name: p.Runner},
			// GitLab calls a commit's hash sha256, whatever it is, and SLSA gitCommit.
			ResolvedDependencies: []resource{{URI: p.Source, Digest: map[string]string{"sha256": p.Commit, "gitCommit": p.Commit}}},
		},
		RunDetails: runDetails{
			Builder: builder{ID: p.RunnerURL, Version: p.Version},
			Metadata: runMetadata{
				InvocationID: job, StartedOn: p.Started.UTC().Format(time.RFC3339), FinishedOn: now.UTC().Format(time.RFC3339),
			},
		},
	}
}

// A subject is a file that a statement is about.
type subject struct {
	path string
	sum  [sha256.Size]byte // of what the archive has of it
}

// write writes the statement, one subject after the other.
func (p *Provenance) write(out io.Writer, subjects []subject) error {
	w := bufio.NewWriter(out) // keeps its first error
	fmt.Fprintf(w, "{\n \"_type\": %q,\n \"predicateType\": %q,\n \"subject\": [", statementType, predicateType)
	separator := ""
	for _, s := range subjects {
		name, err := json.Marshal(s.path)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s\n  {\n   \"name\": %s,\n   \"digest\": {\n    \"sha256\": %q\n   }\n  }", separator, name, hex.EncodeToString(s.sum[:]))
		separator = ","
	}
	text, err := json.MarshalIndent(p.predicate(time.Now()), " ", " ")
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\n ],\n \"predicate\": %s\n}\n", text)
	return w.Flush()
}

// inTheWay reports whether path is where the statement has to be.
func (p *Provenance) inTheWay(path string) bool {
	return path == p.Name || strings.HasPrefix(path, p.Name+"/")
}

// hashedCopy is copyTo, and remembers the file as a subject.
func (s *source) hashedCopy(w io.Writer, e tree.Entry, f confine.File, st unix.Stat_t) error {
	sum := sha256.New()
	if err := s.copyTo(io.MultiWriter(w, sum), e.Path, f, st); err != nil {
		return err
	}
	s.subjects = append(s.subjects, subject{path: e.Path, sum: [sha256.Size]byte(sum.Sum(nil))})
	return nil
}

// state adds the statement to the archive.
func (s *source) state(z *zip.Writer) error {
	header := &zip.FileHeader{Name: s.provenance.Name, Method: zip.Deflate, Modified: time.Now()}
	header.SetMode(0o644)
	w, err := z.CreateHeader(header)
	if err != nil {
		return err
	}
	return s.provenance.write(w, s.subjects)
}

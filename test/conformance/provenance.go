package conformance

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"

	"github.com/runnerd/runnerd/internal/standin"
)

var provenances = []Row{
	{
		Name: "artifacts-provenance", Spec: "6.1",
		Behaviour: "RUNNER_GENERATE_ARTIFACTS_METADATA adds an in-toto statement with the hashes of the files to the archive.",
		Job: standin.JobSpec{
			Variables: vars("RUNNER_GENERATE_ARTIFACTS_METADATA", "true", "SLSA_PROVENANCE_SCHEMA_VERSION", "v1", "PASSWORD", "hunter22"),
			Artifacts: []standin.Artifact{named("app", "out")}, Script: []string{"mkdir out; echo a > out/a; echo b > out/b"},
		},
		Want: Want{Uploads: []Upload{{Filename: "app.zip", Entries: []string{"out/a", "out/b", "app-metadata.json"}}}, Check: statesProvenance},
	},
	{
		Name: "report-without-provenance", Spec: "6.1",
		Behaviour: "Reports are sent without one: only zip archives can hold it.",
		Job: standin.JobSpec{
			Variables: vars("RUNNER_GENERATE_ARTIFACTS_METADATA", "true"),
			Artifacts: []standin.Artifact{report("junit", "gzip", "junit.xml")}, Script: []string{"echo '<testsuites/>' > junit.xml"},
		},
		Want: Want{Uploads: []Upload{{Type: "junit", Format: "gzip", Content: "<testsuites/>\n"}}},
	},
	{
		Name: "artifacts-without-provenance", Spec: "6.1",
		Behaviour: "Without the variable there is no statement.",
		Job:       leaving(archive("out"), "echo x > out"),
		Want:      Want{Uploads: []Upload{{Entries: []string{"out"}, Lacks: []string{"artifacts-metadata.json"}}}},
	},
}

// statesProvenance checks that the statement in a job's archive is about that
// job and about the archive's files, and shows no variable's value.
func statesProvenance(w *World, j *standin.Job) error {
	uploads := j.Uploads()
	if len(uploads) == 0 {
		return nil // has been told
	}
	files, err := contents(uploads[0].Data)
	if err != nil {
		return err
	}
	text := files["app-metadata.json"]
	var said struct {
		PredicateType string `json:"predicateType"`
		Subject       []struct {
			Name   string
			Digest struct{ SHA256 string }
		}
		Predicate struct {
			BuildDefinition struct {
				ExternalParameters, InternalParameters map[string]string
			}
		}
	}
	if err := json.Unmarshal(text, &said); err != nil {
		return fmt.Errorf("the statement: %w", err)
	}
	if said.PredicateType != "https://slsa.dev/provenance/v1" || len(said.Subject) != 2 {
		return fmt.Errorf("the statement is a %s about %d files, want SLSA's v1 about 2", said.PredicateType, len(said.Subject))
	}
	for _, s := range said.Subject {
		if sum := sha256.Sum256(files[s.Name]); hex.EncodeToString(sum[:]) != s.Digest.SHA256 {
			return fmt.Errorf("the hash of %s is wrong", s.Name)
		}
	}
	build := said.Predicate.BuildDefinition
	if build.InternalParameters["job"] != fmt.Sprint(j.ID()) || build.ExternalParameters["entryPoint"] != j.Name() {
		return fmt.Errorf("the statement is about job %q, %q", build.InternalParameters["job"], build.ExternalParameters["entryPoint"])
	}
	if value, ok := build.ExternalParameters["PASSWORD"]; !ok || bytes.Contains(text, []byte("hunter22")) {
		return fmt.Errorf("PASSWORD is %q (named: %v), want its name without its value", value, ok)
	}
	return nil
}

// contents are the files of a zip archive.
func contents(data []byte) (map[string][]byte, error) {
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, f := range archive.File {
		r, err := f.Open()
		if err != nil {
			return nil, err
		}
		files[f.Name], err = io.ReadAll(r)
		r.Close()
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

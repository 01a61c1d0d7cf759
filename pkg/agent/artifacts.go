package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/runnerd/runnerd/pkg/artifact"
	"github.com/runnerd/runnerd/pkg/confine"
	"github.com/runnerd/runnerd/pkg/job"
)

// artifacts are the job's own and those of the jobs that it depends on.
type artifacts struct {
	*helper
	client *artifact.Client
}

// openArtifacts gets ready to transfer artifacts. It returns nil when there are
// none.
func (h *helper) openArtifacts() (*artifacts, error) {
	if len(h.plan.Artifacts)+len(h.plan.Dependencies) == 0 {
		return nil, nil
	}
	server := h.plan.GitLab
	client, err := artifact.NewClient(artifact.Options{
		API: server.API, UserAgent: h.plan.Sources.UserAgent, CA: h.withAuthority(h.plan.Sources.CA), Proxy: h.proxy(),
		ClientCert: []byte(h.plan.Sources.ClientCert), ClientKey: []byte(h.plan.Sources.ClientKey),
		UploadTimeout: server.UploadTimeout, ResponseTimeout: server.ResponseTimeout,
		Note: h.log.Warn,
	})
	if err != nil {
		return nil, err
	}
	return &artifacts{helper: h, client: client}, nil
}

func (a *artifacts) close() {
	if a != nil {
		a.client.Close()
	}
}

// upload is the phase in which files of the project become artifacts. jobErr is
// why the job has failed, if it has. The first artifact that cannot be sent is
// the last one that is tried.
func (a *artifacts) upload(ctx context.Context, jobErr error) error {
	if a == nil || over(ctx, jobErr) {
		return nil
	}
	name, title, fits := "upload_artifacts_on_success", "Uploading artifacts for successful job", job.WhenSuccess
	if jobErr != nil {
		name, title, fits = "upload_artifacts_on_failure", "Uploading artifacts for failed job", job.WhenFailure
	}
	var wanted []job.ArtifactPlan
	for _, p := range a.plan.Artifacts {
		if p.When == job.WhenAlways || p.When == fits {
			wanted = append(wanted, p)
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	return a.phase(ctx, name, title, func(ctx context.Context) error {
		defer frugal(memoryLimit())()
		if err := a.uploadAll(ctx, wanted); err != nil {
			a.log.Error(fmt.Sprintf("Uploading artifacts failed: %v", cause(ctx, err)))
			return transferFailure("uploading artifacts", err)
		}
		return nil
	})
}

func (a *artifacts) uploadAll(ctx context.Context, wanted []job.ArtifactPlan) error {
	root, err := a.project()
	if err != nil {
		return err
	}
	vars := a.finalVariables()
	for _, p := range wanted {
		if err := a.uploadOne(ctx, root, vars, p); err != nil {
			return err
		}
	}
	return nil
}

// over reports whether the job as a whole was ended: then nothing is sent.
func over(ctx context.Context, jobErr error) bool {
	return ctx.Err() != nil || errors.Is(jobErr, errCluster)
}

// transferFailure is a transfer that failed: to GitLab it is a command that
// ended with exit code 1, which is what it is in GitLab Runner.
func transferFailure(what string, err error) *job.Failure {
	f := job.Failf(job.ScriptFailure, "%s failed: %v", what, err)
	f.ExitCode = 1
	return f
}

func (a *artifacts) uploadOne(ctx context.Context, root *confine.Root, vars []job.Variable, p job.ArtifactPlan) error {
	kind := cmp.Or(p.Type, "archive")
	a.log.Plain(fmt.Sprintf("Uploading artifacts as %q...", kind))
	files, err := a.collect(ctx, root, vars, p)
	if err != nil {
		return err
	}
	if len(files.Entries) == 0 {
		a.log.Error("No files to upload")
		return nil
	}
	format := cmp.Or(p.Format, job.FormatZip)
	if err := artifact.Check(format, files.Entries); err != nil {
		return err
	}
	began := time.Now()
	name := job.Expand(p.Name, vars, a.plan.TempDir)
	provenance := a.provenance(name, format)
	name = artifact.FileName(name, format)
	stop := a.meter(movement{what: "Uploading " + name, moved: a.client.Sent})
	sent, err := a.client.Upload(ctx, root, artifact.Upload{
		JobID: a.plan.JobID, Token: a.plan.GitLab.Token, FileName: name, Type: p.Type, Format: format, Implied: p.Format == "",
		ExpireIn: p.ExpireIn, Level: p.Level, Entries: files.Entries,
		Provenance: provenance,
	})
	stop()
	for _, note := range sent.Notes {
		a.log.Warn(note)
	}
	if err != nil {
		return err
	}
	took := time.Since(began)
	a.log.Info(fmt.Sprintf("Uploaded %s as %q: %s of %s files in %s, %s", name, kind, size(sent.Bytes), thousands(sent.Files), tenths(took), rate(sent.Bytes, took)))
	return nil
}

// provenance is the statement about an artifact, or nil.
func (a *artifacts) provenance(name, format string) *artifact.Provenance {
	p := a.plan.Provenance
	if p == nil || format != job.FormatZip {
		return nil
	}
	statement := artifact.StatementName(name)
	a.log.Plain("Adding a provenance statement, " + statement)
	return &artifact.Provenance{
		Name: statement, Source: p.Source, Commit: p.Commit, EntryPoint: p.EntryPoint, Parameters: p.Parameters,
		JobID: a.plan.JobID, Started: a.plan.Started, Runner: p.Runner, RunnerURL: p.RunnerURL, Executor: p.Executor,
		Architecture: runtime.GOARCH, Version: map[string]string{p.Product: p.Version},
	}
}

// collect finds an artifact's files and says what each path has matched.
func (a *artifacts) collect(ctx context.Context, root *confine.Root, vars []job.Variable, p job.ArtifactPlan) (*artifact.Files, error) {
	selection := artifact.Selection{
		ProjectDir: a.plan.ProjectDir, Paths: a.expandEach(p.Paths, vars), Exclude: a.expandEach(p.Exclude, vars),
	}
	if p.Untracked {
		list, err := a.untracked(ctx, root)
		if err != nil {
			a.log.Warn(fmt.Sprintf("untracked files are left out: %v", err))
		}
		selection.Untracked = list
	}
	files, err := artifact.Collect(ctx, root, selection)
	if err != nil {
		return nil, err
	}
	for _, m := range files.Paths {
		if m.Count == 0 {
			a.log.Warn(m.Pattern + ": no matching files. Ensure that the artifact path is relative to the working directory (" + a.plan.ProjectDir + ")")
			continue
		}
		a.log.Plain(fmt.Sprintf("%s: found %d matching artifact files and directories", m.Pattern, m.Count))
	}
	if p.Untracked {
		a.log.Plain(fmt.Sprintf("untracked: found %d files", len(selection.Untracked)))
	}
	for _, m := range files.Exclude {
		a.log.Plain(fmt.Sprintf("%s: excluded %d files and directories", m.Pattern, m.Count))
	}
	for _, warning := range files.Warnings {
		a.log.Warn(warning)
	}
	return files, nil
}

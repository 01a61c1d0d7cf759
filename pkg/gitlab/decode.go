package gitlab

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/runnerd/runnerd/pkg/job"
)

const defaultJobTimeout = 2 * time.Hour

// DecodeJob makes a job of a payload: the JSON with which GitLab hands out a
// job. It takes whatever [Client.RequestJob] takes; CorrelationID and what is
// about TLS, which come from the connection, are empty.
//
// An error says that body is not JSON of the right shape, or that it holds no
// job's id and token.
func DecodeJob(body []byte) (*job.Job, error) { return decodeJob(body) }

// decodeJob makes a job of the body of a 201.
func decodeJob(body []byte) (*job.Job, error) {
	var p payload
	if err := json.Unmarshal(body, &p); err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	if p.ID.int() <= 0 || p.Token == "" {
		return nil, errors.New("payload: no job id or no job token")
	}
	info := p.JobInfo
	return &job.Job{
		ID:                 p.ID.int(),
		Token:              job.Secret(p.Token),
		AllowGitFetch:      p.AllowGitFetch,
		Name:               string(info.Name),
		Stage:              string(info.Stage),
		PipelineID:         info.PipelineID.int(),
		ProjectID:          info.ProjectID.int(),
		ProjectName:        string(info.ProjectName),
		ProjectPath:        string(info.ProjectFullPath),
		NamespaceID:        info.NamespaceID.int(),
		RootNamespaceID:    info.RootNamespaceID.int(),
		UserID:             info.UserID.int(),
		QueueTime:          max(seconds(info.TimeInQueue), 0),
		QueueSize:          info.QueueSize.count(),
		QueueDepth:         info.QueueDepth.count(),
		ProjectJobsRunning: string(info.ProjectJobsRunning),
		Git:                p.GitInfo.git(p.Variables),
		Timeout:            p.RunnerInfo.timeout(),
		Variables:          each(p.Variables, payloadVariable.variable),
		Steps:              each(p.Steps, payloadStep.step),
		Hooks:              each(p.Hooks, payloadStep.hook),
		Image:              p.Image.image(),
		Services:           each(p.Services, payloadService.service),
		Artifacts:          each(p.Artifacts, payloadArtifact.artifact),
		Caches:             each(p.Cache, payloadCache.cache),
		Credentials:        registries(p.Credentials),
		Dependencies:       each(p.Dependencies, payloadDependency.dependency),
		Inputs:             each(p.Inputs, payloadInput.input),
		Features: job.Features{
			TraceSections:     p.Features.TraceSections,
			FailureReasons:    p.Features.FailureReasons,
			TokenMaskPrefixes: p.Features.TokenMaskPrefixes,
		},
		Enforced: p.PolicyOptions.enforced(),
		Secrets:  secrets(p.Secrets),
		Run:      runText(p.Run),
	}, nil
}

// each converts a list; an empty one becomes nil.
func each[From, To any](list []From, convert func(From) To) []To {
	var out []To
	for _, v := range list {
		out = append(out, convert(v))
	}
	return out
}

// seconds is safe for numbers that no time.Duration can hold.
func seconds(n number) time.Duration {
	const most = 1e9 // s, 31 years
	return time.Duration(min(max(float64(n), -most), most) * float64(time.Second))
}

func (r payloadRunnerInfo) timeout() time.Duration {
	if d := seconds(r.Timeout); d > 0 {
		return d
	}
	return defaultJobTimeout
}

func (g payloadGitInfo) git(vars []payloadVariable) job.Git {
	return job.Git{
		RepoURL: string(g.RepoURL), ObjectFormat: string(g.ObjectFormat),
		Ref: string(g.Ref), SHA: string(g.SHA), BeforeSHA: string(g.BeforeSHA), RefType: string(g.RefType),
		Refspecs: g.Refspecs, Depth: g.Depth.count(), Protected: protected(g.Protected, vars),
	}
}

// protected says whether the ref is protected. Servers before 18.3 say it only
// in a variable; the first of that name is the server's own, a later one could
// be the user's. It is not believed when a later one contradicts it: some of
// those servers put variables in the order in which they refer to one another.
func protected(said *bool, vars []payloadVariable) job.Tristate {
	if said != nil {
		return tristate(*said)
	}
	first := job.Unset
	for _, v := range vars {
		if v.Key != "CI_COMMIT_REF_PROTECTED" {
			continue
		}
		yes, err := strconv.ParseBool(string(v.Value))
		switch {
		case first == job.Unset && err == nil && !yes:
			return job.False // nobody has anything to gain by claiming that
		case err != nil || !yes:
			return job.Unset
		}
		first = job.True
	}
	return first
}

func tristate(b bool) job.Tristate {
	if b {
		return job.True
	}
	return job.False
}

func (v payloadVariable) variable() job.Variable {
	return job.Variable{
		Key: string(v.Key), Value: string(v.Value),
		Public: v.Public, Masked: v.Masked, Raw: v.Raw, File: v.File,
	}
}

func (s payloadStep) step() job.Step { return job.Step{Name: string(s.Name), Script: s.Script} }
func (s payloadStep) hook() job.Hook { return job.Hook{Name: string(s.Name), Script: s.Script} }

func (i payloadImage) image() job.Image {
	user, unsupported := executorOpts(i.ExecutorOpts)
	return job.Image{
		Name: string(i.Name), Entrypoint: i.Entrypoint, PullPolicies: i.PullPolicy,
		User: user, Unsupported: unsupported,
	}
}

func (s payloadService) service() job.Service {
	return job.Service{
		Image: s.image(), Aliases: aliases(string(s.Alias)), Command: s.Command,
		Ports: each(s.Ports, payloadPort.port), Variables: each(s.Variables, payloadVariable.variable),
	}
}

func (p payloadPort) port() job.Port {
	return job.Port{Number: int(p.Number.int()), Protocol: string(p.Protocol), Name: string(p.Name)}
}

// aliases splits the names, which stand between spaces or commas.
func aliases(names string) []string {
	list := strings.FieldsFunc(names, func(r rune) bool { return r == ' ' || r == ',' || r == '\t' || r == '\n' })
	if len(list) == 0 {
		return nil
	}
	return list
}

func (a payloadArtifact) artifact() job.Artifact {
	return job.Artifact{
		Name: string(a.Name), Untracked: a.Untracked, Paths: a.Paths, Exclude: a.Exclude, When: string(a.When),
		ExpireIn: string(a.ExpireIn), Type: string(a.Type), Format: string(a.Format),
	}
}

func (c payloadCache) cache() job.Cache {
	return job.Cache{
		Key: string(c.Key), Untracked: c.Untracked, Paths: c.Paths, Mode: string(c.Policy),
		When: string(c.When), FallbackKeys: c.FallbackKeys,
	}
}

// registries keeps the credentials for container registries.
func registries(list []payloadCredential) []job.Credential {
	var out []job.Credential
	for _, c := range list {
		if c.Type == "registry" {
			out = append(out, job.Credential{
				URL: string(c.URL), Username: string(c.Username), Password: job.Secret(c.Password),
			})
		}
	}
	return out
}

func (d payloadDependency) dependency() job.Dependency {
	return job.Dependency{
		ID: d.ID.int(), Name: string(d.Name), Token: job.Secret(d.Token),
		Filename: string(d.File.Filename), Size: d.File.Size.int(),
	}
}

func (i payloadInput) input() job.Input {
	return job.Input{
		Key: string(i.Key), Type: string(i.Value.Type), Content: string(i.Value.Content), Sensitive: i.Value.Sensitive,
	}
}

func (p payloadPolicyOptions) enforced() job.Enforced {
	if !p.Job {
		return job.Enforced{}
	}
	e := job.Enforced{By: string(p.Name), Exceptions: p.Exceptions}
	if p.OverrideAllowed != nil {
		e.Override = tristate(*p.OverrideAllowed)
	}
	return e
}

// runText returns the steps of `run`, which come as a string that holds JSON.
func runText(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(bytes.TrimSpace(raw))
}

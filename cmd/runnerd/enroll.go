package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/runnerd/runnerd/pkg/config"
	"github.com/runnerd/runnerd/pkg/gitlab"
	"github.com/runnerd/runnerd/pkg/job"
)

// undoTimeout bounds the attempt to sign off a runner that was registered in
// vain.
const undoTimeout = 30 * time.Second

// register adds a runner. The file is edited in memory first, with a made-up
// token: what is wrong with it shows before GitLab hears of the runner.
func (a *app) register(ctx context.Context, f registerFlags, flags *pflag.FlagSet) error {
	ignored, err := f.check(flags)
	if err != nil {
		return err
	}
	if len(ignored) > 0 {
		fmt.Fprintf(a.stderr, "runnerd: warning: %s: no effect: these are set in GitLab for a runner that was created there\n", strings.Join(ignored, ", "))
	}
	data, err := os.ReadFile(a.configPath)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return usageError{fmt.Errorf("read configuration: %w", err)}
	}
	entry, err := f.entry()
	if err != nil {
		return err
	}
	if _, err := a.withEntry(data, entry); err != nil {
		return err
	}

	runner := config.Runner{URL: f.url, Token: job.Secret(f.token), TLSCAFile: f.caFile, Executor: config.ExecutorKubernetes}
	if f.executor != "" {
		runner.Executor = f.executor
	}
	got, err := a.enroll(ctx, runner, f)
	if err != nil {
		return err
	}
	entry.ID, entry.Token, entry.TokenExpiresAt, entry.TokenObtainedAt = got.ID, got.Token, got.ExpiresAt, time.Now()
	if data, err = a.withEntry(data, entry); err == nil && ctx.Err() == nil {
		err = config.WriteFile(a.configPath, data)
	}
	if err = errors.Join(err, ctx.Err()); err != nil {
		runner.Token = got.Token
		return errors.Join(err, a.undo(ctx, runner, f.leaveRunner))
	}
	fmt.Fprintf(a.stdout, "runner %q (id %d) added to %q\n", entry.Name, got.ID, a.configPath)
	return nil
}

// enroll makes the runner known to GitLab and returns how GitLab knows it.
func (a *app) enroll(ctx context.Context, runner config.Runner, f registerFlags) (gitlab.Registration, error) {
	client, err := newClient(a.configPath, runner)
	if err != nil {
		return gitlab.Registration{}, err
	}
	defer client.Close()
	if f.legacyToken != "" {
		fmt.Fprintln(a.stderr, "runnerd: warning: registration tokens are deprecated: create the runner in GitLab and give its token with --token")
		return client.Register(ctx, job.Secret(f.legacyToken), f.options())
	}
	got, err := client.Verify(ctx)
	if err != nil {
		return got, fmt.Errorf("%w; check the token and the address of GitLab", err)
	}
	if got.ID == 0 && gitlab.NewFlow(runner.Token) {
		return got, errors.New("GitLab did not say which runner the token belongs to; it may be too old for glrt- tokens")
	}
	got.Token = runner.Token
	return got, nil
}

// undo signs off what cannot be used.
func (a *app) undo(ctx context.Context, runner config.Runner, leave bool) error {
	if leave {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	if err := signOff(ctx, a.configPath, runner); err != nil {
		return fmt.Errorf("sign the new runner off again: %w", err)
	}
	return nil
}

// entry is the file's new entry, as far as the flags say.
func (f *registerFlags) entry() (config.NewRunner, error) {
	n := config.NewRunner{
		Name: f.name, URL: f.url, Token: "to-be-filled-in", TLSCAFile: f.caFile, Executor: f.executor,
		Namespace: f.namespace, Image: f.image, TemplateName: f.template, Settings: f.cache,
	}
	if f.template != "" {
		var err error
		if n.Template, err = os.ReadFile(f.template); err != nil {
			return n, usageError{fmt.Errorf("read template: %w", err)}
		}
	} else if n.Executor == "" {
		n.Executor = config.ExecutorKubernetes
	}
	return n, nil
}

// withEntry returns the file's text with the entry, when that is valid.
func (a *app) withEntry(data []byte, entry config.NewRunner) ([]byte, error) {
	text, err := config.AppendRunner(a.configPath, data, entry)
	if err != nil {
		return nil, err
	}
	_, _, err = config.Parse(a.configPath, text)
	return text, err
}

// ask fills in what the flags leave out: from the terminal, or with defaults.
func (a *app) ask(f *registerFlags) error {
	host, err := os.Hostname()
	if err != nil {
		host = product
	}
	if !f.nonInteractive && isTerminal(a.stdin) {
		return a.question(f, host)
	}
	if f.name == "" && f.template == "" {
		f.name = host
	}
	return nil
}

// question asks for each setting that a runner should have and f does not. An
// empty answer takes the default in brackets.
func (a *app) question(f *registerFlags, host string) error {
	answers := bufio.NewScanner(a.stdin)
	for _, q := range []struct {
		answer    *string
		text      string
		otherwise string
		needless  bool
	}{
		{&f.url, "Address of GitLab (https://gitlab.example.com)", "", false},
		{&f.token, "Runner authentication token (glrt-…)", "", f.legacyToken != ""},
		{&f.name, "Name of the runner", host, f.template != ""},
		{&f.namespace, "Namespace of the job pods", "default", f.template != "" || f.executor == config.ExecutorLocal},
	} {
		if *q.answer != "" || q.needless {
			continue
		}
		if q.otherwise != "" {
			q.text += " [" + q.otherwise + "]"
		}
		fmt.Fprintf(a.stdout, "%s: ", q.text)
		if !answers.Scan() {
			return errors.Join(errors.New("input ended before the last question"), answers.Err())
		}
		if *q.answer = strings.TrimSpace(answers.Text()); *q.answer == "" {
			*q.answer = q.otherwise
		}
	}
	return nil
}

// isTerminal reports whether somebody can answer questions on r.
func isTerminal(r any) bool {
	f, ok := r.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/runnerd/runnerd/pkg/config"
	"github.com/runnerd/runnerd/pkg/gitlab"
	"github.com/runnerd/runnerd/pkg/job"
)

// registerFlags are the flags of `runnerd register`.
type registerFlags struct {
	nonInteractive bool
	url            string
	token          string
	legacyToken    string // --registration-token
	name           string
	executor       string
	namespace      string
	image          string
	caFile         string
	template       string

	// Settings that a runner of the old flow is born with.
	tags            string
	maintenanceNote string
	accessLevel     string
	maximumTimeout  int // s
	runUntagged     bool
	locked          bool
	paused          bool
	leaveRunner     bool // keep the runner in GitLab when the file cannot be written

	cache []config.Setting
}

// serverSide are the flags that GitLab wants to hear from its own pages when
// the runner was created there.
var serverSide = []string{"locked", "access-level", "run-untagged", "maximum-timeout", "paused", "tag-list", "maintenance-note"}

// registerEnvironment names the environment variable of each flag, as GitLab
// Runner does.
var registerEnvironment = map[string]string{
	"url": "CI_SERVER_URL", "token": "CI_SERVER_TOKEN", "registration-token": "REGISTRATION_TOKEN",
	"tls-ca-file": "CI_SERVER_TLS_CA_FILE", "name": "RUNNER_NAME", "executor": "RUNNER_EXECUTOR",
	"kubernetes-namespace": "KUBERNETES_NAMESPACE", "kubernetes-image": "KUBERNETES_IMAGE",
	"template-config": "TEMPLATE_CONFIG_FILE", "non-interactive": "REGISTER_NON_INTERACTIVE", "leave-runner": "REGISTER_LEAVE_RUNNER",
	"tag-list": "RUNNER_TAG_LIST", "run-untagged": "REGISTER_RUN_UNTAGGED", "locked": "REGISTER_LOCKED",
	"access-level": "REGISTER_ACCESS_LEVEL", "maximum-timeout": "REGISTER_MAXIMUM_TIMEOUT", "paused": "REGISTER_PAUSED",
	"maintenance-note": "REGISTER_MAINTENANCE_NOTE",
}

func registerCommand(a *app) *cobra.Command {
	var f registerFlags
	c := &cobra.Command{
		Use:   "register",
		Short: "Add a runner to the configuration",
		Long: `Add a runner to the configuration.

Create the runner in GitLab and give its authentication token (glrt-…) with
--token. With --registration-token a runner of the old kind is made; GitLab has
deprecated that.

On a terminal, register asks for what the flags leave out. Most flags have an
environment variable, named in brackets.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := fromEnvironment(c.Flags()); err != nil {
				return err
			}
			var err error
			if f.cache, err = cacheSettings(c.Flags()); err != nil {
				return err
			}
			if err := a.ask(&f); err != nil { // an interrupt ends the questions as it ends any program
				return err
			}
			return withInterrupt(c.Context(), func(ctx context.Context) error { return a.register(ctx, f, c.Flags()) })
		},
	}
	f.add(c.Flags())
	return c
}

func (f *registerFlags) add(flags *pflag.FlagSet) {
	flags.BoolVarP(&f.nonInteractive, "non-interactive", "n", false, "ask nothing")
	flags.StringVarP(&f.url, "url", "u", "", "`address` of GitLab")
	flags.StringVarP(&f.token, "token", "t", "", "runner authentication `token` (glrt-…)")
	flags.StringVarP(&f.legacyToken, "registration-token", "r", "", "registration `token` (deprecated)")
	flags.StringVar(&f.name, "name", "", "name of the runner (default: the host's)")
	flags.StringVar(&f.executor, "executor", "", "kubernetes or local (default: the template's, else kubernetes)")
	flags.StringVar(&f.namespace, "kubernetes-namespace", "", "namespace of the job pods")
	flags.StringVar(&f.image, "kubernetes-image", "", "image for jobs that name none")
	flags.StringVar(&f.caFile, "tls-ca-file", "", "`file` with the CA of GitLab's certificate")
	flags.StringVar(&f.template, "template-config", "", "`file` with one [[runners]] entry to start from")
	flags.StringVar(&f.tags, "tag-list", "", "tags, separated by commas (registration token only)")
	flags.BoolVar(&f.runUntagged, "run-untagged", false, "take jobs without tags (registration token only)")
	flags.BoolVar(&f.locked, "locked", true, "lock the runner to its project (registration token only)")
	flags.StringVar(&f.accessLevel, "access-level", "", "not_protected or ref_protected (registration token only)")
	flags.IntVar(&f.maximumTimeout, "maximum-timeout", 0, "longest job in `seconds` (registration token only)")
	flags.BoolVar(&f.paused, "paused", false, "register without taking jobs (registration token only)")
	flags.StringVar(&f.maintenanceNote, "maintenance-note", "", "note for administrators (registration token only)")
	flags.BoolVar(&f.leaveRunner, "leave-runner", false, "keep the runner in GitLab when the configuration cannot be written")
	addCacheFlags(flags)
	flags.VisitAll(func(flag *pflag.Flag) {
		if name := variableOf(flag.Name); name != "" {
			flag.Usage += " [" + name + "]"
		}
	})
}

// fromEnvironment sets the flags that the command line does not name.
func fromEnvironment(flags *pflag.FlagSet) error {
	var first error
	flags.VisitAll(func(flag *pflag.Flag) {
		variable := variableOf(flag.Name)
		value := os.Getenv(variable)
		if variable == "" || value == "" || flag.Changed || first != nil {
			return
		}
		if err := flags.Set(flag.Name, value); err != nil {
			first = usageError{fmt.Errorf("environment variable %s: %w", variable, err)}
		}
	})
	return first
}

// variableOf returns the environment variable of a flag; "" if it has none.
func variableOf(flag string) string {
	if strings.HasPrefix(flag, cacheFlag) {
		return strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
	}
	return registerEnvironment[flag]
}

// check sorts the tokens out. It returns the server-side flags that have no
// effect: those beside a glrt- token in the place of a registration token.
func (f *registerFlags) check(flags *pflag.FlagSet) (ignored []string, err error) {
	var given []string
	for _, name := range serverSide {
		if flags.Changed(name) {
			given = append(given, "--"+name)
		}
	}
	switch {
	case f.token != "" && f.legacyToken != "":
		return nil, usageError{errors.New("--token and --registration-token exclude each other; give --token")}
	case f.token != "" && len(given) > 0:
		return nil, usageError{fmt.Errorf("%s: set in GitLab for a runner that was created there; leave out beside --token", strings.Join(given, ", "))}
	case gitlab.NewFlow(job.Secret(f.legacyToken)):
		f.token, f.legacyToken = f.legacyToken, ""
		ignored = given
	}
	var missing []string
	if f.url == "" {
		missing = append(missing, "--url")
	}
	if f.token == "" && f.legacyToken == "" {
		missing = append(missing, "--token")
	}
	if len(missing) > 0 {
		return nil, usageError{fmt.Errorf("missing: %s", strings.Join(missing, ", "))}
	}
	if f.executor != "" && !slices.Contains([]string{config.ExecutorKubernetes, config.ExecutorLocal}, f.executor) {
		return nil, usageError{fmt.Errorf(`--executor %q: write "kubernetes" (or "local", to try runnerd out)`, f.executor)}
	}
	return ignored, nil
}

func (f *registerFlags) options() gitlab.RegisterOptions {
	o := gitlab.RegisterOptions{
		Description: f.name, MaintenanceNote: f.maintenanceNote, Paused: f.paused, Locked: f.locked,
		RunUntagged: f.runUntagged, AccessLevel: f.accessLevel, MaximumTimeout: time.Duration(f.maximumTimeout) * time.Second,
	}
	for tag := range strings.SplitSeq(f.tags, ",") {
		if tag = strings.TrimSpace(tag); tag != "" {
			o.Tags = append(o.Tags, tag)
		}
	}
	if len(o.Tags) == 0 { // as GitLab Runner: a runner without tags would never run a job
		o.RunUntagged = true
	}
	return o
}

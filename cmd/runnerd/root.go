package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/runnerd/runnerd/pkg/config"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2 // command line or config.toml
)

// An app is what all commands share.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	configPath     string // --config
}

// run carries out one command line and returns the exit code. It leaves signals
// to the commands: each stops in its own way.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := rootCommand(&app{stdin: stdin, stdout: stdout, stderr: stderr})
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return exitCode(root.ExecuteContext(ctx), stderr)
}

func rootCommand(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "runnerd",
		Short: "Run GitLab CI jobs on Kubernetes",
		Long: `runnerd takes CI jobs from GitLab and runs each as a pod.

Exit codes: 0 done, 1 it did not work, 2 the command line or config.toml is
wrong and nothing was started.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noCommand,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },

		SuggestionsMinimumDistance: 2,
	}
	path := config.DefaultPath
	if p := os.Getenv("CONFIG_FILE"); p != "" {
		path = p
	}
	root.PersistentFlags().StringVarP(&a.configPath, "config", "c", path, "`file` to read (or environment variable CONFIG_FILE)")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see %s --help", err, c.CommandPath())}
	})
	root.AddCommand(
		runCommand(a), registerCommand(a), verifyCommand(a), unregisterCommand(a),
		listCommand(a), configCommand(a), cacheCommand(a), policyCommand(a), demoCommand(a), versionCommand(a),
	)
	return root
}

// A usageError ends the program with exit code 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// exitCode prints err, one problem a line, and returns what it means for the
// caller of the program.
func exitCode(err error, stderr io.Writer) int {
	if err == nil {
		return exitOK
	}
	if _, ok := errors.AsType[*config.Problem](err); ok {
		fmt.Fprintln(stderr, err) // each line begins with the file's name
		return exitUsage
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintln(stderr, "runnerd: "+line)
	}
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	return exitFailure
}

// noCommand refuses words that no command has taken.
func noCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if s := c.SuggestionsFor(args[0]); len(s) > 0 {
		return usageError{fmt.Errorf("unknown command %q; did you mean %q?", args[0], s[0])}
	}
	return usageError{fmt.Errorf("unknown command %q; see %s --help", args[0], c.CommandPath())}
}

// noArgs is for commands that take flags only.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("unexpected argument %q; %s takes flags only", args[0], c.CommandPath())}
	}
	return nil
}

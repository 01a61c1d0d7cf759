// Command cluster runs a real one-node Kubernetes for tests and development,
// apart from the machine that it is on: README.md says how to use it.
//
// It is also each of the cluster's components, if the first argument names one.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/runnerd/runnerd/test/cluster/internal/component"
	"github.com/runnerd/runnerd/test/cluster/internal/images"
	"github.com/runnerd/runnerd/test/cluster/internal/state"
)

// exitDown is the exit code for a cluster that is not up.
const exitDown = 3

// An exitError ends the program with a code of its own.
type exitError struct {
	code int
	error
}

func (e exitError) Unwrap() error { return e.error }

func main() {
	if filepath.Base(os.Args[0]) == component.Kubectl { // see kubectlCommand
		code, _ := component.Run(component.Kubectl, os.Args[1:])
		os.Exit(code)
	}
	if len(os.Args) > 1 && os.Args[1] != component.Kubectl {
		if code, ok := component.Run(os.Args[1], os.Args[2:]); ok {
			os.Exit(code)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	a := &app{stdout: stdout, stderr: stderr}
	root := &cobra.Command{
		Use:           "cluster",
		Short:         "Run a one-node Kubernetes for tests",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.PersistentFlags().StringVar(&a.name, "name", "", "name of the cluster (RUNNERD_CLUSTER_NAME; default "+state.DefaultName+")")
	root.PersistentFlags().StringVar(&a.dir, "dir", "", "its state folder (RUNNERD_CLUSTER_DIR; default /var/lib/runnerd-cluster/NAME)")
	root.AddCommand(a.upCommand(), a.downCommand(), a.statusCommand(), a.execCommand(), a.envCommand(), a.kubectlCommand(),
		a.restartCommand(), a.imagesCommand(), a.initCommand(), a.superviseCommand())
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	if err.Error() != "" {
		fmt.Fprintf(stderr, "%s: %v\n", cmd.CommandPath(), err)
	}
	if exit := (exitError{}); errors.As(err, &exit) {
		return exit.code
	}
	return 1
}

// app holds what all commands share.
type app struct {
	name, dir      string // flags; empty means the default
	stdout, stderr io.Writer
}

func (a *app) cluster() (state.Cluster, error) { return state.New(a.name, a.dir) }

// builder finds "pause" and "hello" where build.sh puts them: beside this program.
func (a *app) builder(c state.Cluster) (images.Builder, error) {
	self, err := os.Executable()
	if err != nil {
		return images.Builder{}, err
	}
	return images.Builder{Cache: c.Cache, Bin: filepath.Dir(self), Log: a.stderr}, nil
}

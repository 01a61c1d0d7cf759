// Command runnerd-agent does a job's work inside its pod; see package agent.
// It is started by runnerd, not by hand.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/runnerd/runnerd/pkg/agent"
)

// version is set by the linker.
var version = "dev"

const usage = `usage:
  runnerd-agent helper --plan FILE --share DIR --control DIR
  runnerd-agent build --plan FILE --share DIR
  runnerd-agent credential FILE get|store|erase
  runnerd-agent version
`

// The exit codes.
const (
	exitOK         = 0
	exitFailed     = 1
	exitUsage      = 2
	exitTerminated = 128 + int(syscall.SIGTERM)
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return exitUsage
	}
	name, args := args[0], args[1:]
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(stderr)
	plan := flags.String("plan", "", "the job's plan, a `file` of gzip'd JSON")
	share := flags.String("share", "", "the `directory` shared by helper and build")
	control := flags.String("control", "", "the `directory` of the files signal and resend")
	if err := flags.Parse(args); err != nil {
		return exitUsage
	}
	var err error
	switch {
	case name == "helper" && *plan != "" && *share != "" && *control != "":
		err = agent.RunHelper(ctx, agent.HelperOptions{
			Plan: *plan, Share: *share, Control: *control, TerminationLog: terminationLog(), Stdout: stdout,
		})
	case name == "build" && *plan != "" && *share != "":
		err = agent.RunBuild(ctx, agent.BuildOptions{Plan: *plan, Share: *share})
	case name == "credential" && flags.NArg() == 2:
		err = agent.Credential(flags.Arg(0), flags.Arg(1), stdout)
	case name == "version":
		_, err = fmt.Fprintln(stdout, version)
	default:
		fmt.Fprint(stderr, usage)
		return exitUsage
	}
	switch {
	case errors.Is(err, agent.ErrTerminated):
		return exitTerminated
	case err != nil:
		fmt.Fprintf(stderr, "runnerd-agent: %v\n", err)
		return exitFailed
	}
	return exitOK
}

// terminationLog is where Kubernetes looks for a container's last words.
func terminationLog() string {
	if path := os.Getenv("RUNNERD_TERMINATION_LOG"); path != "" {
		return path
	}
	return "/dev/termination-log"
}

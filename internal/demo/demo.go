package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/runnerd/runnerd/internal/standin"
)

// Options say where the demo runs. All are needed.
type Options struct {
	Out     io.Writer // logs and table
	Address string    // where the stand-in GitLab listens, "127.0.0.1:0"
	Image   string    // of the jobs; the runner's allow-list must allow it
	Store   string    // folder of the object store; a second run finds the caches of the first

	// Daemon runs the daemon for a site until ctx ends.
	Daemon func(ctx context.Context, site Site) error
}

// A Site is what the demo's daemon has to be configured for.
type Site struct {
	URL   string // of GitLab
	Token string // of the runner
	Store string // host:port of an S3 server without TLS, with the bucket [Bucket]
}

// ErrUnexpected says that a job of the demo did not end as it had to.
var ErrUnexpected = errors.New("demo: a job did not end as expected; see the table")

// Run plays the pipeline through. It returns ErrUnexpected when a job ended in
// another way than it had to, and an error that lists what the daemon did wrong
// when it broke a rule of GitLab's API.
func Run(ctx context.Context, o Options) (err error) {
	gitlab := standin.New(standin.Options{RequestConcurrency: 1, Concurrent: concurrent})
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", o.Address)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if err := gitlab.Start(listener); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer gitlab.Close()
	repository, err := gitlab.AddRepository("demo/hello", projectFiles)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	runner := gitlab.AddRunner(standin.RunnerSpec{Description: "demo"})
	objects, err := startStore(ctx, o.Address, o.Store)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, objects.close()) }()
	fmt.Fprintf(o.Out, "A stand-in GitLab listens on %s; five jobs wait for a runner.\nAn object store for their caches lies in %s.\n\n", gitlab.URL(), o.Store)

	daemonCtx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	site := Site{URL: gitlab.URL(), Token: runner.Token(), Store: objects.addr}
	go func() { ended <- o.Daemon(daemonCtx, site) }()
	fine, err := play(daemonCtx, o, gitlab, repository, ended)
	stop()
	if daemonErr := <-ended; daemonErr != nil && err == nil {
		err = fmt.Errorf("demo: the daemon: %w", daemonErr)
	}
	if err == nil {
		err = violations(gitlab)
	}
	if err == nil && !fine {
		err = ErrUnexpected
	}
	return err
}

// concurrent is how many jobs the demo's daemon runs at the same time.
const concurrent = 2

// Concurrent is what the daemon's config must say.
func Concurrent() int { return concurrent }

func play(ctx context.Context, o Options, gitlab *standin.Server, repository *standin.Repository, ended chan error) (bool, error) {
	steps := pipeline(repository, o.Image)
	var jobs []*standin.Job
	for _, s := range steps {
		jobs = append(jobs, gitlab.AddJob(s.job))
	}
	watch, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watched := make(chan struct{})
	defer func() { <-watched }()
	stopWatching := make(chan struct{})
	defer close(stopWatching)
	go func() { // a daemon that ends too early ends the demo
		defer close(watched)
		select {
		case err := <-ended:
			ended <- err
			cancel(errors.Join(errors.New("demo: the daemon ended before the jobs"), err))
		case <-stopWatching:
		}
	}()
	for i, j := range jobs {
		fmt.Fprintf(o.Out, "\x1b[1m── %s / %s ──\x1b[0m\n", steps[i].job.Stage, steps[i].job.Name)
		if err := follow(watch, o.Out, j); err != nil {
			return false, context.Cause(watch)
		}
		fmt.Fprintln(o.Out)
	}
	return summary(o.Out, steps, jobs), nil
}

func violations(gitlab *standin.Server) error {
	var list []error
	for _, v := range gitlab.Violations() {
		list = append(list, errors.New(v.String()))
	}
	return errors.Join(list...)
}

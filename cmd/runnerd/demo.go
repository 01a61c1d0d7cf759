package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/runnerd/runnerd/internal/demo"
	"github.com/runnerd/runnerd/pkg/config"
)

// demoFlags say where the demo's jobs run.
type demoFlags struct {
	executor    string
	listen      string
	image       string
	helperImage string
	namespace   string
	log         string
}

func demoCommand(a *app) *cobra.Command {
	var f demoFlags
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run a small pipeline on a stand-in GitLab",
		Long: `Run a small pipeline on a stand-in GitLab that lives in this process: a build,
tests of which one fails and one may fail, and a job that the policy denies.
The jobs run as processes on this host, or as pods (--executor kubernetes).`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runDemo(c.Context(), a, f) },
	}
	c.Flags().StringVar(&f.executor, "executor", config.ExecutorLocal, "where jobs run: local or kubernetes")
	c.Flags().StringVar(&f.listen, "listen", "127.0.0.1:0", "`address` of the stand-in GitLab; pods must reach it")
	c.Flags().StringVar(&f.image, "image", "registry.example.com/demo/debian:1", "image of the jobs")
	c.Flags().StringVar(&f.helperImage, "helper-image", "", "helper image (default: the one of this version)")
	c.Flags().StringVar(&f.namespace, "namespace", "default", "namespace of the job pods")
	c.Flags().StringVar(&f.log, "log", "", "`file` for the daemon's own log (default: none)")
	return c
}

func runDemo(ctx context.Context, a *app, f demoFlags) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir, err := os.MkdirTemp("", "runnerd-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	log := os.DevNull
	if f.log != "" {
		log = f.log
	}
	logFile, err := os.Create(log)
	if err != nil {
		return err
	}
	defer logFile.Close()

	store, err := demoStore()
	if err != nil {
		return err
	}
	daemon := func(ctx context.Context, site demo.Site) error {
		text := demoConfig(f, dir, site)
		fmt.Fprintf(a.stdout, "runnerd's config.toml:\n\n%s\n", text)
		cfg, _, err := config.Parse("demo", []byte(text))
		if err != nil {
			return err
		}
		logger, level := newLogger(cfg, logFile)
		logKubernetes(logger)
		d, err := newDaemon(currentBuild(), filepath.Join(dir, "config.toml"), agentPath(), cfg, logger, level)
		if err != nil {
			return err
		}
		return d.run(stopper{drain: ctx, force: context.WithoutCancel(ctx)})
	}
	err = demo.Run(ctx, demo.Options{Out: a.stdout, Address: f.listen, Image: f.image, Store: store, Daemon: daemon})
	if errors.Is(err, context.Canceled) {
		return errors.New("demo: interrupted")
	}
	return err
}

// demoStore is the folder of the demo's object store, which outlives it.
func demoStore() (string, error) {
	caches, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("demo: no place for the object store: %w", err)
	}
	return filepath.Join(caches, product, "demo"), nil
}

// demoConfig is a config.toml as a user would write it.
func demoConfig(f demoFlags, dir string, site demo.Site) string {
	text := fmt.Sprintf(`concurrent = %d
check_interval = 1

[[runners]]
name = "demo"
url = %q
token = %q
executor = %q
`, demo.Concurrent(), site.URL, site.Token, f.executor)
	if f.executor == config.ExecutorLocal {
		text += fmt.Sprintf("builds_dir = %q\n", filepath.Join(dir, "builds"))
	}
	text += fmt.Sprintf("\n[runners.kubernetes]\nallowed_images = [%q]\n", f.image)
	if f.executor == config.ExecutorKubernetes {
		text += fmt.Sprintf("namespace = %q\n", f.namespace)
		if f.helperImage != "" {
			text += fmt.Sprintf("helper_image = %q\n", f.helperImage)
		}
	}
	text += fmt.Sprintf(`
[runners.cache]
Type = "s3"
Shared = true

[runners.cache.s3]
ServerAddress = %q
BucketName = %q
AccessKey = "demo"
SecretKey = "demo-secret"
BucketLocation = "us-east-1"
Insecure = true
`, site.Store, demo.Bucket)
	return text + "\n[runners.policy]\ncontact = \"the platform team\"\n"
}

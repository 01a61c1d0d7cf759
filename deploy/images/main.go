// Command images builds runnerd's images, and pushes them.
//
//	images build --version 1.0.0 --programs dist/bin --out dist/images
//	images debian --name squid --packages "squid-openssl" --user 13:13 --version 1.0.0 --out dist/images
//	images push  --from dist/images --to registry.example.com/ci
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/runnerd/runnerd/deploy/internal/image"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("say build, debian or push")
	}
	switch flags := flag.NewFlagSet("images "+args[0], flag.ContinueOnError); args[0] {
	case "build":
		return build(ctx, flags, args[1:])
	case "debian":
		return plain(ctx, flags, args[1:])
	case "push":
		return push(ctx, flags, args[1:])
	default:
		return fmt.Errorf("unknown command %q; say build, debian or push", args[0])
	}
}

func build(ctx context.Context, flags *flag.FlagSet, args []string) error {
	var o image.Options
	var created int64
	flags.StringVar(&o.Version, "version", "dev", "tag of the images")
	flags.StringVar(&o.Revision, "revision", "unknown", "git revision")
	flags.StringVar(&o.Programs, "programs", "dist/bin", "folder with linux_<architecture>/runnerd and runnerd-agent")
	flags.StringVar(&o.Cache, "cache", defaultCache(), "folder for Debian's packages")
	flags.Int64Var(&created, "created", 0, "time of the commit, in seconds since 1970")
	out := flags.String("out", "dist/images", "folder for the images")
	architectures := flags.String("architectures", "amd64 arm64", "separated by spaces")
	if err := flags.Parse(args); err != nil {
		return err
	}
	o.Created = time.Unix(created, 0)
	byName := map[string][]image.Built{}
	for architecture := range strings.FieldsSeq(*architectures) {
		built, err := image.Build(ctx, o, architecture)
		if err != nil {
			return fmt.Errorf("%s: %w", architecture, err)
		}
		for _, b := range built {
			byName[b.Name] = append(byName[b.Name], b)
		}
	}
	if err := os.MkdirAll(*out, 0o755); err != nil {
		return err
	}
	for _, name := range []string{image.Daemon, image.Helper} {
		if err := image.Save(*out, o.Version, byName[name]); err != nil {
			return err
		}
		fmt.Println(filepath.Join(*out, name))
	}
	return nil
}

// plain builds an image that is Debian's packages and nothing else.
func plain(ctx context.Context, flags *flag.FlagSet, args []string) error {
	var o image.Options
	var p image.Plain
	var created int64
	flags.StringVar(&o.Version, "version", "dev", "tag of the image")
	flags.StringVar(&o.Revision, "revision", "unknown", "git revision")
	flags.StringVar(&o.Cache, "cache", defaultCache(), "folder for Debian's packages")
	flags.Int64Var(&created, "created", 0, "time of the commit, in seconds since 1970")
	flags.StringVar(&p.Name, "name", "", "of the image")
	flags.StringVar(&p.User, "user", "", "uid:gid of its programs; default: root")
	packages := flags.String("packages", "", "separated by spaces")
	out := flags.String("out", "dist/images", "folder for the image")
	architectures := flags.String("architectures", "amd64 arm64", "separated by spaces")
	if err := flags.Parse(args); err != nil {
		return err
	}
	o.Created, p.Packages = time.Unix(created, 0), strings.Fields(*packages)
	if p.Name == "" || len(p.Packages) == 0 {
		return errors.New("--name or --packages is missing")
	}
	var built []image.Built
	for architecture := range strings.FieldsSeq(*architectures) {
		b, err := o.Plain(ctx, p, architecture)
		if err != nil {
			return fmt.Errorf("%s: %w", architecture, err)
		}
		built = append(built, b)
	}
	if err := os.MkdirAll(*out, 0o755); err != nil {
		return err
	}
	if err := image.Save(*out, o.Version, built); err != nil {
		return err
	}
	fmt.Println(filepath.Join(*out, p.Name))
	return nil
}

func push(ctx context.Context, flags *flag.FlagSet, args []string) error {
	from := flags.String("from", "dist/images", "folder with the images")
	names := flags.String("names", image.Daemon+" "+image.Helper, "of the images, separated by spaces")
	to := flags.String("to", "", "registry and path, such as registry.example.com/ci")
	insecure := flags.Bool("insecure", false, "the registry speaks http")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *to == "" {
		return errors.New("--to is missing: say where the images go, such as registry.example.com/ci")
	}
	refs, err := image.Push(ctx, *from, *to, *insecure, strings.Fields(*names)...)
	for _, ref := range refs {
		fmt.Println(ref)
	}
	return err
}

func defaultCache() string {
	if dir := os.Getenv("RUNNERD_CACHE"); dir != "" {
		return dir
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return filepath.Join(dir, "runnerd")
}

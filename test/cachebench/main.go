// Cachebench measures the cache's archive and transfer against what people use
// otherwise (tar, zstd, curl, a parallel zip), in one run, turn by turn, with a
// real MinIO server. docs/benchmarks.md has its table; `make bench-cache` runs it.
//
// Every operation is a process of its own, so that its memory can be seen: the
// program starts itself again with the name of one.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "cachebench:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) == 3 && os.Args[1] == "op" {
		return perform(ctx, os.Args[2])
	}
	var o options
	flag.StringVar(&o.minio, "minio", "", "`program` of the MinIO server")
	flag.StringVar(&o.dir, "dir", "", "`folder` to work in; on tmpfs, or figures mean nothing")
	flag.StringVar(&o.out, "out", "", "`file` for the table, in Markdown")
	flag.IntVar(&o.rounds, "rounds", 5, "how often everything is measured")
	flag.Float64Var(&o.scale, "scale", 1, "size of the tree; targets hold for 1")
	flag.StringVar(&o.only, "only", "", "comma-separated `operations` to measure; for profiling")
	flag.Parse()
	return measure(ctx, o)
}

type options struct {
	minio, dir, out, only string
	rounds                int
	scale                 float64
}

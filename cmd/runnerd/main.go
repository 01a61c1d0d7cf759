// Command runnerd takes CI jobs from GitLab and runs each as a pod.
//
// Exit codes: 0 done, 1 it did not work, 2 the command line or config.toml is
// wrong and nothing was started.
package main

import (
	"context"
	"os"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// Command stackgen prints a kustomization's objects as one file.
//
//	stackgen deploy/stack > deploy/stack.yaml
package main

import (
	"fmt"
	"os"

	"github.com/runnerd/runnerd/deploy/internal/stack"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "stackgen: name the folder of the kustomization")
		os.Exit(2)
	}
	text, err := stack.Render(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "stackgen:", err)
		os.Exit(1)
	}
	os.Stdout.Write(text)
}

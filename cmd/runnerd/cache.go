package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
)

func cacheCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "cache",
		Short: "Look after the jobs' caches and the bucket that holds them",
		Args:  noCommand,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(cacheInitCommand(a), cacheCheckCommand(a), cacheListCommand(a), cacheStatCommand(a), cachePruneCommand(a))
	return c
}

// cacheFlags are those of every command of the family.
type cacheFlags struct {
	runner string
	output string
}

const (
	outputText = "text"
	outputJSON = "json"
)

func (f *cacheFlags) add(c *cobra.Command) {
	c.Flags().StringVarP(&f.runner, "runner", "n", "", "only the store of the runner with this `name`")
	c.Flags().StringVarP(&f.output, "output", "o", outputText, "text or json")
}

func (f *cacheFlags) check() error {
	if f.output != outputText && f.output != outputJSON {
		return usageError{fmt.Errorf("--output %q: write text or json", f.output)}
	}
	return nil
}

// json prints v, indented.
func (a *app) json(v any) error {
	e := json.NewEncoder(a.stdout)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

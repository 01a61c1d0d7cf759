package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/runnerd/runnerd/pkg/gitlab"
)

func listCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the runners of the configuration",
		Args:  noArgs,
		RunE:  func(*cobra.Command, []string) error { return a.list() },
	}
}

func (a *app) list() error {
	c, _, err := a.load()
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(a.stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tEXECUTOR\tTOKEN\tURL")
	for _, r := range c.Runners {
		fmt.Fprintf(w, "%s\t%s\t%s…\t%s\n", r.Name, r.Executor, gitlab.ShortToken(r.Token), r.URL)
	}
	return w.Flush()
}

package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/runnerd/runnerd/test/cluster/internal/boot"
	"github.com/runnerd/runnerd/test/cluster/internal/component"
	"github.com/runnerd/runnerd/test/cluster/internal/procs"
	"github.com/runnerd/runnerd/test/cluster/internal/teardown"
)

// short maps the names that people say to the components' own.
var short = map[string]string{
	"apiserver":          component.APIServer,
	"controller-manager": component.ControllerManager,
	"scheduler":          component.Scheduler,
	"proxy":              component.Proxy,
}

func (a *app) restartCommand() *cobra.Command {
	var kill bool
	cmd := &cobra.Command{
		Use:   "restart COMPONENT",
		Short: "Stop a component (kubelet, apiserver, ...) and return once it is healthy again; pods go on",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.cluster()
			if err != nil {
				return err
			}
			if _, alive := procs.Load(teardown.InitFile(c)); !alive {
				return exitError{exitDown, fmt.Errorf("cluster %s is not up", c.Name)}
			}
			name := args[0]
			if long, ok := short[name]; ok {
				name = long
			}
			began := time.Now()
			if err := boot.Restart(cmd.Context(), c, name, kill); err != nil {
				return err
			}
			fmt.Fprintf(a.stdout, "%s restarted %.1fs\n", name, time.Since(began).Seconds())
			return nil
		},
	}
	cmd.Flags().BoolVar(&kill, "kill", false, "kill it (SIGKILL) rather than ask it to end")
	return cmd
}

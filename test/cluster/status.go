package main

import (
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/runnerd/runnerd/test/cluster/internal/boot"
	"github.com/runnerd/runnerd/test/cluster/internal/procs"
	"github.com/runnerd/runnerd/test/cluster/internal/state"
	"github.com/runnerd/runnerd/test/cluster/internal/teardown"
)

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show the components, the node and the addresses; exit code 3 if the cluster is not up",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.cluster()
			if err != nil {
				return err
			}
			init, alive := procs.Load(teardown.InitFile(c))
			if !alive {
				if traces := teardown.Traces(c); traces != "" {
					return exitError{exitDown, fmt.Errorf("cluster %s has crashed and left: %s; \"cluster down\" removes it", c.Name, traces)}
				}
				return exitError{exitDown, fmt.Errorf("cluster %s is not up", c.Name)}
			}
			st, err := boot.GetStatus(cmd.Context(), c)
			if err != nil {
				return exitError{exitDown, err}
			}
			a.printStatus(c, st, outerPIDs(init))
			if !st.Up() {
				return exitError{exitDown, errors.New("")}
			}
			return nil
		},
	}
}

func (a *app) printStatus(c state.Cluster, st boot.Status, outer map[int]int) {
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	defer w.Flush()
	for _, p := range st.Components {
		verdict := "ready"
		if p.Problem != "" {
			verdict = p.Problem
		}
		fmt.Fprintf(w, "%s\tpid %d\trestarts %d\t%s\n", p.Name, outer[p.PID], p.Restarts, verdict)
	}
	fmt.Fprintf(w, "node %s\t%s\t\t%s\n", c.Name, state.NodeIP, st.Node)
	fmt.Fprintf(w, "registry\t%s\t\twith password: %s\n", state.Registry, state.AuthRegistry)
	fmt.Fprintf(w, "api\thttps://%s\t\tkubeconfig: %s\n", state.APIServer, c.Kubeconfig())
}

// outerPIDs maps process ids inside the cluster's PID namespace to the
// machine's.
func outerPIDs(init procs.ID) map[int]int {
	ns := procs.Namespace(init.PID, "pid")
	pids := map[int]int{}
	for _, id := range procs.All() {
		if procs.Namespace(id.PID, "pid") == ns {
			pids[procs.InnerPID(id.PID)] = id.PID
		}
	}
	return pids
}

package main

import "github.com/spf13/cobra"

func runCommand(a *app) *cobra.Command {
	var listen string
	c := &cobra.Command{
		Use:   "run",
		Short: "Take and run jobs until told to stop",
		Long: `Take and run jobs until told to stop.

SIGQUIT drains: no new jobs, the running ones finish. SIGTERM and SIGINT leave
jobs in pods to the next runnerd, and interrupt and report the others; a second
one ends the process at once. SIGHUP reads the configuration again, as does a change of the file.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			seen := look(a.configPath)
			cfg, warnings, err := a.load()
			if err != nil {
				return err
			}
			return runDaemon(c.Context(), cfg, runOptions{
				ConfigPath: a.configPath, ConfigSeen: seen, ListenAddress: listen, Warnings: warnings,
				Version: currentBuild(), Stderr: a.stderr,
			})
		},
	}
	c.Flags().StringVar(&listen, "listen-address", "", "`host:port` of metrics and health, instead of the configuration's")
	return c
}

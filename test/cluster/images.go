package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/runnerd/runnerd/test/cluster/internal/boot"
	"github.com/runnerd/runnerd/test/cluster/internal/debian"
	"github.com/runnerd/runnerd/test/cluster/internal/images"
	"github.com/runnerd/runnerd/test/cluster/internal/netns"
	"github.com/runnerd/runnerd/test/cluster/internal/state"
)

func (a *app) imagesCommand() *cobra.Command {
	var agent string
	cmd := &cobra.Command{
		Use:   "images",
		Short: "Build the images, push them to the cluster's registries and print their references",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.cluster()
			if err != nil {
				return err
			}
			return a.images(cmd.Context(), c, agent)
		},
	}
	cmd.Flags().StringVar(&agent, "helper-agent", "", "build only the helper image, with this program as its agent")
	return cmd
}

func (a *app) images(ctx context.Context, c state.Cluster, agent string) error {
	up := netns.Exists(c.Netns())
	if !up && agent != "" {
		return exitError{exitDown, fmt.Errorf("cluster %s is not up: there is no registry to push the helper image to", c.Name)}
	}
	if err := debian.Install(ctx, a.stderr); err != nil {
		return err
	}
	list, err := a.build(ctx, c, agent)
	if err != nil {
		return err
	}
	if !up {
		fmt.Fprintf(a.stderr, "cluster %s is not up: images are in the cache, not pushed\n", c.Name)
		return nil
	}
	transport := &http.Transport{DialContext: netns.Dialer(c.Netns())}
	defer transport.CloseIdleConnections()
	if err := boot.PushAll(ctx, transport, list...); err != nil {
		return err
	}
	var refs []string
	for _, img := range list {
		refs = append(refs, state.Registry+"/"+img.Name)
	}
	return printLines(a.stdout, refs)
}

func (a *app) build(ctx context.Context, c state.Cluster, agent string) ([]images.Image, error) {
	builder, err := a.builder(c)
	if err != nil {
		return nil, err
	}
	if agent == "" {
		return builder.All(ctx)
	}
	helper, err := builder.Helper(ctx, agent)
	return []images.Image{helper}, err
}

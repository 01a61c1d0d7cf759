package main

import (
	"context"
	"sync"

	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/config"
	"github.com/runnerd/runnerd/pkg/executor/kubernetes"
	"github.com/runnerd/runnerd/pkg/lease"
)

// leases are the Leases by which other replicas see that this one lives: one for
// each cluster and namespace that entries use. They outlive the entries.
type leases struct {
	ctx     context.Context
	keepers map[leasePlace]*lease.Keeper
	running sync.WaitGroup
}

type leasePlace struct{ host, context, namespace string }

// start lets leases be taken until the returned call, which gives them up.
func (l *leases) start(ctx context.Context) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	l.ctx, l.keepers = ctx, map[leasePlace]*lease.Keeper{}
	return func() {
		cancel()
		l.running.Wait()
	}
}

// lease returns the Lease of an entry with settings k.
func (d *daemon) lease(k config.Kubernetes, client kubernetes.Client) *lease.Keeper {
	place := leasePlace{k.Host, k.Context, k.Namespace}
	if place.namespace == "" {
		place.namespace = "default"
	}
	if keeper := d.leases.keepers[place]; keeper != nil {
		return keeper
	}
	keeper := lease.New(lease.Options{
		API: client.API.CoordinationV1(), Namespace: place.namespace,
		Manager: d.systemID, Place: d.manager.place, Log: d.log.With(zap.String("namespace", place.namespace)),
	})
	d.leases.keepers[place] = keeper
	d.leases.running.Go(func() { keeper.Run(d.leases.ctx) })
	return keeper
}

// Package boot is the supervisor: it brings the components up in order, serves
// the registry and the control socket, and takes everything down in order.
package boot

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/runnerd/runnerd/test/cluster/internal/component"
	"github.com/runnerd/runnerd/test/cluster/internal/images"
	"github.com/runnerd/runnerd/test/cluster/internal/node"
	"github.com/runnerd/runnerd/test/cluster/internal/registry"
	"github.com/runnerd/runnerd/test/cluster/internal/state"
	"github.com/runnerd/runnerd/test/cluster/internal/supervise"
)

// bootTimeout is generous: a cold, busy machine takes several times as long as
// a quiet one.
const bootTimeout = 3 * time.Minute

// stopOrder is the order in which components end. What starts containers goes
// first, what others talk to goes last.
var stopOrder = []string{
	component.Kubelet, component.Proxy, component.CoreDNS,
	component.Scheduler, component.ControllerManager, component.APIServer, component.Etcd, "containerd",
}

// A Supervisor runs one cluster.
type Supervisor struct {
	node    *node.Node
	builder images.Builder
	steps   *steps

	mu    sync.Mutex // guards procs
	procs map[string]*supervise.Process
}

// Run boots the cluster c and keeps it up until ctx ends; then it stops all
// components. Progress is written to progress, one line for each step. The
// error says why the cluster did not come up.
func Run(ctx context.Context, c state.Cluster, builder images.Builder, progress io.Writer) error {
	n, err := node.New(c)
	if err != nil {
		return err
	}
	s := &Supervisor{node: n, builder: builder, steps: &steps{w: progress}, procs: map[string]*supervise.Process{}}
	defer s.stop()
	closeServers, err := s.serve(ctx)
	if err != nil {
		return err
	}
	defer closeServers()
	bootCtx, cancel := context.WithTimeoutCause(ctx, bootTimeout, fmt.Errorf("not up after %s", bootTimeout))
	defer cancel()
	if err := s.boot(bootCtx); err != nil {
		return err
	}
	s.steps.finish(nil)
	<-ctx.Done()
	return nil
}

// boot starts the components. The API server takes longest, so what does not
// need it comes up beside it, and what does need it comes up after it.
func (s *Supervisor) boot(ctx context.Context) error {
	containerd, err := s.node.Containerd()
	if err != nil {
		return err
	}
	kubelet, err := s.node.Kubelet()
	if err != nil {
		return err
	}
	proxy, err := s.node.Proxy()
	if err != nil {
		return err
	}
	dns, err := s.node.CoreDNS()
	if err != nil {
		return err
	}
	before, beforeCtx := errgroup.WithContext(ctx)
	before.Go(func() error { return s.up(beforeCtx, s.node.Etcd()) })
	before.Go(func() error { return s.up(beforeCtx, s.node.APIServer()) })
	before.Go(func() error {
		if err := s.up(beforeCtx, containerd); err != nil {
			return err
		}
		return s.steps.do("images", func() error { return s.load(beforeCtx) })
	})
	if err := before.Wait(); err != nil {
		return err
	}
	after, afterCtx := errgroup.WithContext(ctx)
	after.Go(func() error {
		if err := s.up(afterCtx, kubelet); err != nil {
			return err
		}
		return s.wait(afterCtx, "node", s.node.Ready)
	})
	after.Go(func() error {
		if err := s.up(afterCtx, s.node.ControllerManager()); err != nil {
			return err
		}
		return s.wait(afterCtx, "default service account", s.node.DefaultServiceAccount)
	})
	after.Go(func() error {
		if err := s.up(afterCtx, dns); err != nil {
			return err
		}
		return s.wait(afterCtx, "cluster DNS", s.node.DNS)
	})
	after.Go(func() error { return s.up(afterCtx, s.node.Scheduler()) })
	after.Go(func() error { return s.up(afterCtx, proxy) })
	return after.Wait()
}

// up starts a component and returns when it is ready.
func (s *Supervisor) up(ctx context.Context, c supervise.Component) error {
	return s.steps.do(c.Name, func() error {
		p := supervise.Start(c)
		s.mu.Lock()
		s.procs[c.Name] = p
		s.mu.Unlock()
		return p.WaitReady(ctx)
	})
}

func (s *Supervisor) wait(ctx context.Context, what string, check func(context.Context) error) error {
	return s.steps.do(what, func() error {
		if err := node.Eventually(ctx, check); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	})
}

func (s *Supervisor) process(name string) *supervise.Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.procs[name]
}

// stop ends the components one after the other.
func (s *Supervisor) stop() {
	for _, name := range stopOrder {
		if p := s.process(name); p != nil {
			p.Stop()
		}
	}
}

// serve starts the registries and the control socket.
func (s *Supervisor) serve(ctx context.Context) (closeAll func(), err error) {
	dir := s.node.Path("registry")
	open := registry.New(filepath.Join(dir, "open"), s.builder.Blobs())
	closed := registry.New(filepath.Join(dir, "auth"), filepath.Join(dir, "open"), s.builder.Blobs())
	var servers []*http.Server
	closeAll = func() {
		for _, srv := range slices.Backward(servers) {
			srv.Close()
		}
	}
	for _, l := range []struct {
		network, addr string
		handler       http.Handler
	}{
		{"tcp", state.Registry, open},
		{"tcp", state.AuthRegistry, registry.RequireBasicAuth(closed, state.RegistryUser, state.RegistryPassword)},
		{"unix", s.node.ControlSocket(), s.control()},
	} {
		var lc net.ListenConfig
		listener, err := lc.Listen(ctx, l.network, l.addr)
		if err != nil {
			closeAll()
			return nil, err
		}
		srv := &http.Server{Handler: l.handler}
		servers = append(servers, srv)
		go srv.Serve(listener) // ends with Close
	}
	return closeAll, nil
}

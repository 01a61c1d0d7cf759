package kubernetes

import (
	"context"
	"errors"
	"sync"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/runnerd/runnerd/pkg/executor"
)

// An Executor runs the jobs of one runner entry as pods. It is safe for
// concurrent use. [Executor.Watch] has to run as long as it is used.
type Executor struct {
	client Client
	id     Identity
	cfg    *settings
	log    *zap.Logger
	pods   map[string]*podWatcher // by namespace
	room   *room

	mu    sync.Mutex
	blind bool // records cannot be listed, so that none is made
	doubt bool // a record may have been taken without an answer that says so
}

var (
	_ executor.Executor = (*Executor)(nil)
	_ executor.Recorder = (*Executor)(nil)
)

// New returns an executor that creates pods through client. It checks cfg and
// starts nothing.
func New(client Client, id Identity, cfg Config, log *zap.Logger) (*Executor, error) {
	s, err := check(cfg)
	if id.SystemID == "" {
		err = errors.Join(err, errors.New("kubernetes: system ID: empty; pods could not be told from those of other managers"))
	}
	if err != nil {
		return nil, err
	}
	if id.Claims == nil {
		id.Claims = NewClaims()
	}
	e := &Executor{client: client, id: id, cfg: s, log: log, pods: map[string]*podWatcher{}}
	e.room = &room{jobs: map[int64]roomFor{}, refused: map[int64]string{}}
	if s.PauseOnQuota {
		e.room.quotas = &quotas{api: client.API, namespace: s.Namespace, log: log, pod: usualPod(s)}
	}
	for _, namespace := range s.namespaces {
		e.pods[namespace] = newPodWatcher(client.API, namespace, selector(id))
	}
	return e, nil
}

// Watch keeps an eye on the executor's pods, with one watch request a namespace,
// until ctx ends. Start it before the first Run and end it after the last.
func (e *Executor) Watch(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, w := range e.pods {
		group.Go(func() error { return w.run(ctx) })
	}
	group.Go(func() error { return e.watchKept(ctx) })
	group.Go(func() error { return e.watchOrphans(ctx) })
	return group.Wait()
}

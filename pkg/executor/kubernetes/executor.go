package kubernetes

import (
	"context"
	"errors"
	"sync"

	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/executor"
)

// An Executor runs the jobs of one runner entry as pods. It is safe for
// concurrent use. [Executor.Watch] has to run as long as it is used.
type Executor struct {
	client Client
	id     Identity
	cfg    *settings
	log    *zap.Logger
	pods   *podWatcher

	mu      sync.Mutex
	claimed map[int64]bool // jobs that Run began and Remove did not end
}

var _ executor.Executor = (*Executor)(nil)

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
	return &Executor{
		client: client, id: id, cfg: s, log: log,
		pods:    newPodWatcher(client.API, s.Namespace, selector(id)),
		claimed: map[int64]bool{},
	}, nil
}

// Watch keeps an eye on the executor's pods, all with one watch request, until
// ctx ends. Start it before the first Run and end it after the last.
func (e *Executor) Watch(ctx context.Context) error {
	return e.pods.run(ctx)
}

func (e *Executor) claim(id int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.claimed[id] = true
}

func (e *Executor) release(id int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.claimed, id)
}

func (e *Executor) isClaimed(id int64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.claimed[id]
}

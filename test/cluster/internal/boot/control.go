package boot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/runnerd/runnerd/test/cluster/internal/component"
	"github.com/runnerd/runnerd/test/cluster/internal/node"
	"github.com/runnerd/runnerd/test/cluster/internal/state"
	"github.com/runnerd/runnerd/test/cluster/internal/supervise"
)

// A Status is the supervisor's view of its cluster.
type Status struct {
	Components []ComponentStatus
	Node       string // "Ready", or why it is not
}

// A ComponentStatus is one component's.
type ComponentStatus struct {
	Name     string
	PID      int // in the cluster's PID namespace; 0 if it is not running
	Restarts int
	Problem  string // "" if it is ready
}

// Up says whether all is well.
func (s Status) Up() bool {
	for _, c := range s.Components {
		if c.Problem != "" {
			return false
		}
	}
	return s.Node == "Ready"
}

// restartTimeout is for the slowest, an API server that ends first.
const restartTimeout = 90 * time.Second

// control is the handler behind the control socket.
func (s *Supervisor) control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(s.status(r.Context()))
	})
	mux.HandleFunc("POST /restart/{name}", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), restartTimeout)
		defer cancel()
		if err := s.restart(ctx, r.PathValue("name"), r.FormValue("kill") != ""); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	return mux
}

func (s *Supervisor) restart(ctx context.Context, name string, kill bool) error {
	p := s.process(name)
	if p == nil {
		return fmt.Errorf("%s: not a running component of this cluster", name)
	}
	if err := p.Restart(ctx, kill); err != nil {
		return err
	}
	if name == component.Kubelet {
		if err := node.Eventually(ctx, s.node.PodsKnown); err != nil {
			return err
		}
	}
	return node.Eventually(ctx, s.node.Ready)
}

func (s *Supervisor) status(ctx context.Context) Status {
	var st Status
	for _, name := range stopOrder {
		p := s.process(name)
		if p == nil {
			st.Components = append(st.Components, ComponentStatus{Name: name, Problem: "not started yet"})
			continue
		}
		st.Components = append(st.Components, componentStatus(ctx, p))
	}
	st.Node = "Ready"
	if err := within(ctx, s.node.Ready); err != nil {
		st.Node = err.Error()
	}
	return st
}

func componentStatus(ctx context.Context, p *supervise.Process) ComponentStatus {
	now := p.Status()
	c := ComponentStatus{Name: now.Name, PID: now.PID, Restarts: max(now.Starts-1, 0)}
	if now.PID == 0 {
		c.Problem = fmt.Sprintf("not running: %v", now.LastExit)
	} else if err := within(ctx, p.Ready); err != nil {
		c.Problem = err.Error()
	}
	return c
}

func within(ctx context.Context, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	return check(ctx)
}

// GetStatus asks the supervisor of c.
func GetStatus(ctx context.Context, c state.Cluster) (Status, error) {
	var st Status
	body, err := call(ctx, c, http.MethodGet, "/status")
	if err != nil {
		return st, err
	}
	return st, json.Unmarshal(body, &st)
}

// Restart asks the supervisor of c to restart the component called name, and
// returns when that is ready again.
func Restart(ctx context.Context, c state.Cluster, name string, kill bool) error {
	path := "/restart/" + name
	if kill {
		path += "?kill=1"
	}
	_, err := call(ctx, c, http.MethodPost, path)
	return err
}

func call(ctx context.Context, c state.Cluster, method, path string) ([]byte, error) {
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", c.ControlSocket())
		},
	}}
	req, err := http.NewRequestWithContext(ctx, method, "http://supervisor"+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("supervisor: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("supervisor: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, errors.New(string(body))
	}
	return body, nil
}

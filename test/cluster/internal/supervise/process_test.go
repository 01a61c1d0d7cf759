package supervise

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// script is a component that runs a shell script and is ready once that has
// made the file "ready" in dir.
func script(dir, text string) Component {
	return Component{
		Name:  "script",
		Argv:  []string{"sh", "-c", "cd " + dir + " && " + text},
		Log:   filepath.Join(dir, "script.log"),
		Grace: time.Second,
		Ready: func(context.Context) error {
			_, err := os.Stat(filepath.Join(dir, "ready"))
			return err
		},
	}
}

func TestCrashingComponentIsExplained(t *testing.T) {
	p := Start(script(t.TempDir(), "echo no etcd here; exit 3"))
	defer p.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	err := p.WaitReady(ctx)
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "no etcd here") {
		t.Errorf("error %v; want exit status and last line of the log", err)
	}
}

func TestRestart(t *testing.T) {
	for _, kill := range []bool{false, true} {
		dir := t.TempDir()
		p := Start(script(dir, "touch ready; exec sleep 60"))
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		if err := p.WaitReady(ctx); err != nil {
			t.Fatal(err)
		}
		before := p.Status()
		if err := p.Restart(ctx, kill); err != nil {
			t.Fatal(err)
		}
		after := p.Status()
		if after.PID == before.PID || after.Starts != 2 {
			t.Errorf("kill=%t: before %+v, after %+v; want another process, started twice", kill, before, after)
		}
		p.Stop()
		if p.Status().PID != 0 {
			t.Errorf("kill=%t: a stopped component runs", kill)
		}
		cancel()
	}
}

func TestComponentDeafToSIGTERMIsKilled(t *testing.T) {
	dir := t.TempDir()
	p := Start(script(dir, "trap '' TERM; touch ready; while :; do sleep 0.1; done"))
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := p.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	go func() { p.Stop(); close(stopped) }()
	select {
	case <-stopped:
	case <-ctx.Done():
		t.Fatal(errors.New("Stop still waits"))
	}
}

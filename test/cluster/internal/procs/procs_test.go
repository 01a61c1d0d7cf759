package procs

import (
	"context"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

func TestRecycledIDIsNotSignalled(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	id, ok := Get(cmd.Process.Pid)
	if !ok {
		t.Fatal("a running process is not found")
	}
	earlier := ID{PID: id.PID, Start: id.Start - 1} // had the same number before
	if err := earlier.Signal(9); err != nil {
		t.Fatal(err)
	}
	if earlier.Alive() || !id.Alive() {
		t.Errorf("alive: earlier process %t, present one %t; want false, true", earlier.Alive(), id.Alive())
	}
	file := filepath.Join(t.TempDir(), "id.json")
	if err := id.Save(file); err != nil {
		t.Fatal(err)
	}
	if loaded, ok := Load(file); !ok || loaded != id {
		t.Errorf("loaded %v, %t; saved %v", loaded, ok, id)
	}
	if err := id.End(context.Background(), 10*time.Second); err != nil {
		t.Fatal(err)
	}
	if id.Alive() { // a zombie: nobody has waited for it yet
		t.Error("a zombie counts as alive")
	}
}

package treegen_test

import (
	"path/filepath"
	"testing"

	"github.com/runnerd/runnerd/internal/treegen"
)

func digest(t *testing.T, dir string) string {
	t.Helper()
	d, err := treegen.Digest(dir)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestTreesAreTheSameEveryTime(t *testing.T) {
	a, b := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	for _, dir := range []string{a, b} {
		totals, err := treegen.Generate(dir, 7, 0.01)
		if err != nil {
			t.Fatal(err)
		}
		if totals.Files < 200 || totals.Symlinks == 0 || totals.Bytes < 4<<20 {
			t.Errorf("generated %+v", totals)
		}
	}
	made := digest(t, a)
	if made != digest(t, b) {
		t.Error("two trees of one seed differ")
	}
	for _, dir := range []string{a, b} {
		if n, err := treegen.Mutate(dir, 3, 0.1); err != nil || n == 0 {
			t.Fatalf("Mutate: %d, %v", n, err)
		}
	}
	if changed := digest(t, a); changed == made {
		t.Error("a changed tree has the digest that it had before")
	}
	if err := treegen.Recreate(b); err != nil {
		t.Fatal(err)
	}
	if digest(t, b) == digest(t, a) {
		t.Error("re-created files have the times that they had before")
	}
}

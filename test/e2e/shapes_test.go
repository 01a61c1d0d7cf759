//go:build e2e

package e2e

import (
	"context"
	"testing"

	"github.com/runnerd/runnerd/internal/standin"
	"github.com/runnerd/runnerd/test/conformance"
)

// TestShapes runs the jobs of .gitlab-ci.yml files as they are found in the
// world. The shapes run side by side, the jobs of one after another.
func TestShapes(t *testing.T) {
	t.Parallel()
	s := start(t, options{concurrent: 8})
	w := &conformance.World{Server: s.gitlab, Place: conformance.Cluster, Image: image, Private: privateRegistry(), Done: map[string]*standin.Job{}}
	if err := w.Populate(); err != nil {
		t.Fatal(err)
	}
	for n, more := 0, true; more; n++ {
		more = false
		for _, shape := range conformance.Shapes() {
			if n < len(shape.Jobs) {
				more = true
				w.Done[shape.Name+"/"+shape.Jobs[n].Name] = s.gitlab.AddJob(w.Spec(shape.Jobs[n]))
			}
		}
		for _, shape := range conformance.Shapes() {
			if n < len(shape.Jobs) {
				row := shape.Jobs[n]
				t.Run(shape.Name+"/"+row.Name, func(t *testing.T) { verifyRow(t, w, row, w.Done[shape.Name+"/"+row.Name]) })
			}
		}
	}
}

// verifyRow waits for a row's job and checks what became of it.
func verifyRow(t *testing.T, w *conformance.World, row conformance.Row, j *standin.Job) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := j.Wait(ctx); err != nil {
		t.Fatalf("the job does not end (state %s): %v; its log:\n%s", j.State(), err, j.Text())
	}
	if err := row.Verify(w, j); err != nil {
		t.Fatalf("%s\n%v\nthe log:\n%.6000s", row.Behaviour, err, j.Text())
	}
}

package standin_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerd/runnerd/internal/standin"
)

func TestLimitOfARunner(t *testing.T) {
	c := newRaw(t, standin.Options{})
	c.runner = c.srv.AddRunner(standin.RunnerSpec{Limit: 1})
	c.take(standin.JobSpec{})
	c.take(standin.JobSpec{})
	if diff := cmp.Diff([]string{"14.10"}, points(c.srv)); diff != "" {
		t.Errorf("violations (-want +got):\n%s", diff)
	}
}

func TestAllowedPointsAreNotRecorded(t *testing.T) {
	c := newRaw(t, standin.Options{Allow: []string{"14.7"}})
	c.request("invented")
	if got := points(c.srv); got != nil {
		t.Errorf("violations: %v", got)
	}
}

func TestRestartForgivesWhatTheOldProcessKnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRaw(t, standin.Options{})
		j := c.run(standin.JobSpec{})
		c.want(http.StatusNoContent, c.request(""))
		c.want(http.StatusAccepted, c.patch(j, line("x")))
		c.srv.ExpectRestart()
		c.want(http.StatusNoContent, c.request("")) // without the value
		c.want(http.StatusRequestedRangeNotSatisfiable, c.patchAt(j, 0, line("x")))
		if got := points(c.srv); got != nil {
			t.Errorf("violations: %v", got)
		}
	})
}

// Replicas have addresses of their own: one that goes on with the job of another
// asks from the beginning what the server has, and only the first time.
func TestAnotherReplicaAsksForTheLength(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRaw(t, standin.Options{})
		c.from = "10.0.0.1:1234"
		j := c.run(standin.JobSpec{})
		c.want(http.StatusAccepted, c.patch(j, line("x")))
		c.from = "10.0.0.2:1234"
		c.want(http.StatusRequestedRangeNotSatisfiable, c.patchAt(j, 0, line("x")))
		if got := points(c.srv); got != nil {
			t.Errorf("violations: %v", got)
		}
		c.want(http.StatusRequestedRangeNotSatisfiable, c.patchAt(j, 0, line("x")))
		if diff := cmp.Diff([]string{"14.23"}, points(c.srv)); diff != "" {
			t.Errorf("violations (-want +got):\n%s", diff)
		}
	})
}

// A replica that takes over does not know when the other one has sent last.
func TestAnotherReplicaDoesNotWaitForTheInterval(t *testing.T) {
	for _, tc := range []struct {
		next string
		want []string
	}{{"10.0.0.2:1234", nil}, {"10.0.0.1:5678", []string{"14.26"}}} {
		synctest.Test(t, func(t *testing.T) {
			c := newRaw(t, standin.Options{})
			c.from = "10.0.0.1:1234"
			j := c.run(standin.JobSpec{})
			c.want(http.StatusAccepted, c.patch(j, line("x")))
			c.from = tc.next
			c.want(http.StatusAccepted, c.patch(j, line("y")))
			for range 2 { // the job goes on
				time.Sleep(10 * time.Second)
				c.want(http.StatusAccepted, c.patch(j, line("z")))
			}
			if diff := cmp.Diff(tc.want, points(c.srv)); diff != "" {
				t.Errorf("next PATCH from %s: violations (-want +got):\n%s", tc.next, diff)
			}
		})
	}
}

// The page of a proxy that has lost its GitLab ends no job, whatever its status.
func TestPageOfAProxyIsNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRaw(t, standin.Options{})
		j := c.run(standin.JobSpec{})
		for _, status := range []int{http.StatusForbidden, http.StatusNotFound} {
			c.srv.Inject(standin.Fault{Endpoint: standin.UpdateJob, Status: status, Body: "<html>no such backend</html>"})
			c.want(status, c.put(j, map[string]any{"state": "running"}))
		}
		c.want(http.StatusOK, c.put(j, map[string]any{"state": "running"}))
		if got := points(c.srv); got != nil {
			t.Errorf("violations: %v", got)
		}
	})
}

// A failing test is reported through the TB.
type fakeTB struct {
	testing.TB
	cleanups []func()
	errors   []string
}

func (f *fakeTB) Cleanup(g func()) { f.cleanups = append(f.cleanups, g) }
func (f *fakeTB) Errorf(format string, a ...any) {
	f.errors = append(f.errors, fmt.Sprintf(format, a...))
}

func TestStartFailsTheTestForViolations(t *testing.T) {
	tb := &fakeTB{TB: t}
	srv := standin.Start(tb, standin.Options{})
	resp, err := http.Get(srv.URL() + "/nowhere")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	for _, f := range tb.cleanups {
		f()
	}
	if len(tb.errors) != 1 || !strings.Contains(tb.errors[0], "GET /nowhere") {
		t.Errorf("errors: %q, want one about GET /nowhere", tb.errors)
	}
}

func TestExternalURL(t *testing.T) {
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	srv := standin.New(standin.Options{ExternalURL: "http://gitlab.test:8080/ci/"})
	if err := srv.Start(l); err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	if got, want := srv.URL(), "http://gitlab.test:8080/ci"; got != want {
		t.Errorf("URL is %q, want %q", got, want)
	}
	if got := srv.StorageURL(); !strings.HasPrefix(got, "http://gitlab.test:") {
		t.Errorf("StorageURL is %q, want the same host", got)
	}
}

package gitlab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runnerd/runnerd/internal/standin"
)

// A direct transport calls a server's handler, so that time may be a bubble's.
type direct struct{ http.Handler }

func (d direct) CloseIdleConnections() {}

func (d direct) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	defer func() {
		if recover() != nil { // the handler has cut the connection
			err = errNetwork
			if r.Context().Err() != nil {
				err = context.Cause(r.Context())
			}
		}
	}()
	in := r.Clone(r.Context())
	in.Body, in.RequestURI = http.NoBody, r.URL.RequestURI()
	rec := httptest.NewRecorder()
	d.ServeHTTP(rec, in)
	resp = rec.Result()
	resp.Request = r
	return resp, nil
}

// bubble runs a test with a stand-in and a client whose time passes at once.
func bubble(t *testing.T, c FactsConfig, test func(*testing.T, *standin.Server, *Facts)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		srv := standin.New(standin.Options{AccessTokens: []string{readToken}})
		c.Token = token(readToken)
		f, err := newFacts(c, &url.URL{Scheme: "http", Host: "gitlab.example.com"}, direct{srv})
		if err != nil {
			t.Fatal(err)
		}
		test(t, srv, f)
		f.Close()
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		for _, v := range srv.Violations() {
			t.Errorf("protocol violation %s", v)
		}
	})
}

func isProtected(t *testing.T, srv *standin.Server, f *Facts, want bool) {
	t.Helper()
	if yes, err := f.RefProtected(t.Context(), srv.Project().ID(), "main", "branch"); err != nil || yes != want {
		t.Errorf("protected: %v, %v; want %v", yes, err, want)
	}
}

func requests(t *testing.T, srv *standin.Server, want int) {
	t.Helper()
	if n := srv.Requests(standin.ReadFacts); n != want {
		t.Errorf("%d requests, want %d", n, want)
	}
}

func TestAListIsKeptForAMinute(t *testing.T) {
	bubble(t, FactsConfig{}, func(t *testing.T, srv *standin.Server, f *Facts) {
		srv.Project().ProtectBranch("main")
		isProtected(t, srv, f, true)
		srv.Project().UnprotectBranch("main")
		time.Sleep(time.Minute - time.Nanosecond)
		isProtected(t, srv, f, true)
		requests(t, srv, 1)
		time.Sleep(time.Nanosecond)
		isProtected(t, srv, f, false)
		requests(t, srv, 2)
	})
}

func TestAListIsAsOldAsTheQuestion(t *testing.T) {
	bubble(t, FactsConfig{CacheFor: 10 * time.Second}, func(t *testing.T, srv *standin.Server, f *Facts) {
		srv.Inject(standin.Fault{Endpoint: standin.ReadFacts, Delay: 8 * time.Second})
		isProtected(t, srv, f, false)
		srv.Project().ProtectBranch("main")
		time.Sleep(2 * time.Second)
		isProtected(t, srv, f, true)
	})
}

func TestProjectsAndKindsAreKeptApart(t *testing.T) {
	bubble(t, FactsConfig{}, func(t *testing.T, srv *standin.Server, f *Facts) {
		other, err := srv.AddRepository("group/other", map[string]string{"a": "b"})
		if err != nil {
			t.Fatal(err)
		}
		srv.Project().ProtectBranch("main")
		srv.Project().ProtectEnvironment("main")
		isProtected(t, srv, f, true)
		for range 2 {
			if yes, err := f.RefProtected(t.Context(), other.ID(), "main", "branch"); yes || err != nil {
				t.Errorf("other project: %v, %v; want false", yes, err)
			}
			if yes, err := f.RefProtected(t.Context(), srv.Project().ID(), "main", "tag"); yes || err != nil {
				t.Errorf("tag: %v, %v; want false", yes, err)
			}
			if yes, err := f.EnvironmentProtected(t.Context(), srv.Project().ID(), "main"); !yes || err != nil {
				t.Errorf("environment: %v, %v; want true", yes, err)
			}
		}
		requests(t, srv, 4)
	})
}

func TestConcurrentAskersShareOneRequest(t *testing.T) {
	bubble(t, FactsConfig{}, func(t *testing.T, srv *standin.Server, f *Facts) {
		srv.Project().ProtectBranch("main")
		srv.Inject(standin.Fault{Endpoint: standin.ReadFacts, Delay: 5 * time.Second})
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				time.Sleep(time.Duration(i) * 100 * time.Millisecond)
				isProtected(t, srv, f, true)
			})
		}
		all.Wait()
		requests(t, srv, 1)
	})
}

func TestACancelledAskerGoesAlone(t *testing.T) {
	bubble(t, FactsConfig{}, func(t *testing.T, srv *standin.Server, f *Facts) {
		srv.Project().ProtectBranch("main")
		srv.Inject(standin.Fault{Endpoint: standin.ReadFacts, Delay: 5 * time.Second})
		gone := errors.New("job is cancelled")
		ctx, cancel := context.WithCancelCause(t.Context())
		begin := time.Now()
		var all sync.WaitGroup
		all.Go(func() { // the first one, who made the request
			yes, err := f.RefProtected(ctx, srv.Project().ID(), "main", "branch")
			if yes || !errors.Is(err, gone) || time.Since(begin) != 2*time.Second {
				t.Errorf("cancelled: %v, %v after %s; want the cause after 2s", yes, err, time.Since(begin))
			}
		})
		synctest.Wait()
		all.Go(func() { isProtected(t, srv, f, true) })
		time.Sleep(2 * time.Second)
		cancel(gone)
		all.Wait()
		if took := time.Since(begin); took != 5*time.Second {
			t.Errorf("took %s, want 5s", took)
		}
		requests(t, srv, 1)
	})
}

func TestASharedErrorIsNotKept(t *testing.T) {
	bubble(t, FactsConfig{}, func(t *testing.T, srv *standin.Server, f *Facts) {
		srv.Project().ProtectBranch("main")
		srv.Inject(standin.Fault{Endpoint: standin.ReadFacts, Delay: time.Second, Status: 403})
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				var refused *StatusError
				if _, err := f.RefProtected(t.Context(), srv.Project().ID(), "main", "branch"); !errors.As(err, &refused) || refused.Status != 403 {
					t.Errorf("%v, want a StatusError with 403", err)
				}
			})
		}
		all.Wait()
		isProtected(t, srv, f, true)
		requests(t, srv, 2)
	})
}

func TestAQuestionEndsInTime(t *testing.T) {
	questions := map[string]func(context.Context, *Facts) (bool, error){
		"ref": func(ctx context.Context, f *Facts) (bool, error) { return f.RefProtected(ctx, 77, "main", "branch") },
		"environment": func(ctx context.Context, f *Facts) (bool, error) {
			return f.EnvironmentProtected(ctx, 77, "production")
		},
		"deployment": func(ctx context.Context, f *Facts) (bool, error) { return f.DeploysTo(ctx, 77, 1, "production") },
		"job":        func(ctx context.Context, f *Facts) (bool, error) { _, err := f.Job(ctx, 77, 1); return false, err },
	}
	faults := map[string]standin.Fault{
		"silent": {Delay: time.Hour}, "slow and broken": {Delay: 3 * time.Second, Status: 500}, "slow and cut": {Delay: 3 * time.Second, Reset: true},
		"asks to wait": {Status: 503, RetryAfter: 4 * time.Second}, "slow and hidden": {Delay: 6 * time.Second, Status: 404},
	}
	for question, put := range questions {
		for name, fault := range faults {
			t.Run(question+" "+name, func(t *testing.T) {
				bubble(t, FactsConfig{}, func(t *testing.T, srv *standin.Server, f *Facts) {
					fault.Endpoint, fault.Times = standin.ReadFacts, -1
					srv.Inject(fault)
					begin := time.Now()
					if yes, err := put(t.Context(), f); err == nil || yes {
						t.Errorf("%v, %v; want an error", yes, err)
					}
					if took := time.Since(begin); took > 10*time.Second {
						t.Errorf("took %s, want 10s at most", took)
					}
				})
			})
		}
	}
}

func TestTheContextMayEndSooner(t *testing.T) {
	bubble(t, FactsConfig{}, func(t *testing.T, srv *standin.Server, f *Facts) {
		srv.Inject(standin.Fault{Endpoint: standin.ReadFacts, Delay: time.Hour, Times: -1})
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		begin := time.Now()
		if _, err := f.RefProtected(ctx, 77, "main", "branch"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ref: %v", err)
		}
		if _, err := f.Job(ctx, 77, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("job: %v", err)
		}
		if took := time.Since(begin); took != 2*time.Second {
			t.Errorf("both took %s, want 2s", took)
		}
	})
}

func TestCloseEndsWhatIsBeingAsked(t *testing.T) {
	bubble(t, FactsConfig{}, func(t *testing.T, srv *standin.Server, f *Facts) {
		srv.Inject(standin.Fault{Endpoint: standin.ReadFacts, Delay: time.Hour, Times: -1})
		begin := time.Now()
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := f.RefProtected(t.Context(), 77, "main", "branch"); !errors.Is(err, errClosed) {
				t.Errorf("asked before Close: %v", err)
			}
		})
		synctest.Wait()
		f.Close()
		all.Wait()
		if _, err := f.RefProtected(t.Context(), 77, "main", "branch"); err == nil {
			t.Error("asked after Close: no error")
		}
		if took := time.Since(begin); took != 0 {
			t.Errorf("took %s, want no time", took)
		}
	})
}

func TestDeploymentsAreLookedThroughToTheJobsAge(t *testing.T) {
	bubble(t, FactsConfig{}, func(t *testing.T, srv *standin.Server, f *Facts) {
		old := srv.AddJob(standin.JobSpec{Environment: "production"})
		for range 300 {
			time.Sleep(time.Minute)
			srv.AddJob(standin.JobSpec{Environment: "production"})
		}
		verifies := srv.AddJob(standin.JobSpec{})
		for range 30 {
			time.Sleep(time.Minute)
			srv.AddJob(standin.JobSpec{Environment: "production"})
		}
		if yes, err := f.DeploysTo(t.Context(), 77, old.ID(), "production"); err != nil || !yes {
			t.Errorf("a deployment on the last page: %v, %v; want true", yes, err)
		}
		requests(t, srv, 5) // 4 pages, and the job for its age
		if yes, err := f.DeploysTo(t.Context(), 77, verifies.ID(), "production"); err != nil || yes {
			t.Errorf("a job that does not deploy: %v, %v; want false", yes, err)
		}
		requests(t, srv, 7) // 1 page is enough: 100 min
	})
}

func TestTheCacheIsBounded(t *testing.T) {
	asked := map[int64]int{}
	c := newListCache(time.Hour, func(_ context.Context, key listKey) ([]string, error) {
		asked[key.project]++
		return make([]string, 4), nil
	})
	c.max = 100
	get := func(project int64) {
		t.Helper()
		if _, err := c.get(t.Context(), listKey{protectedTags, project}); err != nil {
			t.Fatal(err)
		}
	}
	for project := range int64(21) {
		get(project)
	}
	if c.size != 100 || len(c.kept) != 20 || c.byAge.Len() != 20 {
		t.Errorf("size %d, %d lists, %d in order; want 100, 20, 20", c.size, len(c.kept), c.byAge.Len())
	}
	get(20)
	get(0) // the oldest was dropped
	if asked[20] != 1 || asked[0] != 2 {
		t.Errorf("the youngest was asked for %d times and the oldest %d times, want 1 and 2", asked[20], asked[0])
	}
	c.max = 3
	get(30) // is too much alone
	if c.size != 0 || len(c.kept) != 0 {
		t.Errorf("size %d, %d lists; want nothing", c.size, len(c.kept))
	}
	c.close()
}

func TestALateListDoesNotOutliveItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		c := newListCache(10*time.Second, func(_ context.Context, key listKey) ([]string, error) {
			n := asked.Add(1)
			if key.project == 1 {
				time.Sleep(5 * time.Second)
			}
			return []string{fmt.Sprint(n)}, nil
		})
		defer c.close()
		get := func(project int64) string {
			names, err := c.get(t.Context(), listKey{protectedTags, project})
			if err != nil {
				t.Error(err)
			}
			return names[0]
		}
		var all sync.WaitGroup
		all.Go(func() { get(1) })
		time.Sleep(4 * time.Second)
		get(2)
		all.Wait()
		time.Sleep(5 * time.Second) // 1 is 10 s old and stands behind 2, which is 6 s old
		if got := get(2); got != "2" {
			t.Errorf("the younger list is that of question %s, want 2", got)
		}
		if got := get(1); got != "3" {
			t.Errorf("the old list is that of question %s, want a new one, 3", got)
		}
	})
}

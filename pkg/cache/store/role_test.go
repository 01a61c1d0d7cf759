package store

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/runnerd/runnerd/internal/miniotest"
)

// sts is Amazon's service as far as roles go: no role longer than an hour.
type sts struct {
	t    *testing.T
	keys temporaryKeys

	refused, granted, atOnce, mostAtOnce atomic.Int64
}

func (s *sts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for now, most := s.atOnce.Add(1), s.mostAtOnce.Load(); now > most && !s.mostAtOnce.CompareAndSwap(most, now); {
		most = s.mostAtOnce.Load()
	}
	defer s.atOnce.Add(-1)
	var seconds int
	if _, err := fmt.Sscan(r.FormValue("DurationSeconds"), &seconds); err != nil || r.FormValue("RoleSessionName") == "" || r.FormValue("Action") != "AssumeRole" {
		s.t.Errorf("asked for a role with %v", r.Form)
	}
	if seconds > 3600 {
		s.refused.Add(1)
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>ValidationError</Code>`+
			`<Message>The requested DurationSeconds exceeds the MaxSessionDuration set for this role.</Message></Error></ErrorResponse>`)
		return
	}
	s.granted.Add(1)
	var id, secret, token strings.Builder
	xml.EscapeText(&id, []byte(s.keys.AccessKeyID))
	xml.EscapeText(&secret, []byte(s.keys.SecretAccessKey))
	xml.EscapeText(&token, []byte(s.keys.SessionToken))
	fmt.Fprintf(w, `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>`+
		`<AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>%s</SessionToken><Expiration>%s</Expiration>`+
		`</Credentials></AssumeRoleResult></AssumeRoleResponse>`, &id, &secret, &token, time.Now().Add(time.Duration(seconds)*time.Second).UTC().Format(time.RFC3339))
}

// newSTS makes the service the one that roles are asked for.
func newSTS(t *testing.T, server *miniotest.Server) *sts {
	t.Helper()
	nowhere(t)
	service := &sts{t: t, keys: assume(t, server, 3600)}
	s := httptest.NewServer(service)
	t.Cleanup(s.Close)
	t.Setenv("AWS_ENDPOINT_URL_STS", s.URL)
	return service
}

func TestRoleThatPermitsAnHour(t *testing.T) {
	server := startMinIO(t)
	service := newSTS(t, server)
	b := open(t, server, func(c *Config) { c.RoleARN = "arn:aws:iam::1:role/cache" })
	for range 3 {
		if _, err := b.PresignPut(t.Context(), "o", 3*time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	works(t, b)
	if refused, granted := service.refused.Load(), service.granted.Load(); refused != 1 || granted != 1 {
		t.Errorf("%d requests refused, %d granted, want one each", refused, granted)
	}
	if at, ok := b.CredentialsExpire(t.Context()); !ok || time.Until(at) > time.Hour {
		t.Errorf("CredentialsExpire = %v, %v, want an hour", at, ok)
	}
}

// TestRolesAtOnce: no more requests than are allowed, and no more than it takes.
func TestRolesAtOnce(t *testing.T) {
	server := startMinIO(t)
	service := newSTS(t, server)
	b := open(t, server, func(c *Config) {
		c.RoleARN, c.UploadRoleARN, c.AssumeConcurrency = "arn:aws:iam::1:role/all", "arn:aws:iam::1:role/up", 1
	})
	var jobs errgroup.Group
	for range 8 {
		jobs.Go(func() error {
			_, err := b.PresignPut(t.Context(), "o", time.Minute)
			return err
		})
		jobs.Go(func() error {
			_, err := b.PresignGet(t.Context(), "o", time.Minute)
			return err
		})
	}
	if err := jobs.Wait(); err != nil {
		t.Fatal(err)
	}
	if granted, most := service.granted.Load(), service.mostAtOnce.Load(); granted != 2 || most != 1 {
		t.Errorf("%d requests, %d at once, want 2, one at a time", granted, most)
	}
}

func TestRolesAreNotKept(t *testing.T) {
	server := startMinIO(t)
	newSTS(t, server)
	for anew, want := range map[bool]time.Duration{false: 0, true: anewAfter} {
		b := open(t, server, func(c *Config) { c.RoleARN, c.AssumeAnew = "arn:aws:iam::1:role/all", anew })
		k, err := b.main.keys.get(t.Context(), 0)
		if err != nil || k.fresh != want {
			t.Errorf("AssumeAnew %v: kept for %v (0: as long as they are good), error %v, want %v", anew, k.fresh, err, want)
		}
	}
	if assumeLimit(-1) != nil || cap(assumeLimit(0)) != 5 || cap(assumeLimit(2)) != 2 {
		t.Error("limits of requests at once are not none, 5 and 2")
	}
}

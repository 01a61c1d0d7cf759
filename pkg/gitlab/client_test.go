package gitlab

import (
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/runnerd/runnerd/internal/standin"
	"github.com/runnerd/runnerd/pkg/job"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A seen is a request as a server got it.
type seen struct {
	Method, Path, Query, Body string
	Header                    http.Header
}

// A host answers with handle and keeps the requests.
type host struct {
	*httptest.Server
	mu   sync.Mutex
	seen []seen
}

func serve(t *testing.T, handle http.HandlerFunc) *host {
	t.Helper()
	h := &host{}
	h.Server = httptest.NewServer(h.keep(handle))
	t.Cleanup(h.Close)
	return h
}

func (h *host) keep(handle http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h.mu.Lock()
		h.seen = append(h.seen, seen{r.Method, r.URL.Path, r.URL.RawQuery, string(body), r.Header.Clone()})
		h.mu.Unlock()
		handle(w, r)
	}
}

func (h *host) last(t *testing.T) seen {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.seen) == 0 {
		t.Fatal("no request arrived")
	}
	return h.seen[len(h.seen)-1]
}

func (h *host) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.seen)
}

const secret = "glrt-t1_s3cr3tT0ken"

var who = job.Credentials{ID: 42, Token: "glcbt-jobt0ken"}

func client(t *testing.T, cfg Config) *Client {
	t.Helper()
	cfg.Token, cfg.SystemID = secret, "r_0123456789ab"
	cfg.Info = Info{Name: "runnerd", Version: "1.2.3", Executor: "kubernetes"}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func status(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

func TestURLs(t *testing.T) {
	for text, want := range map[string]string{
		"https://a.example.com":          "https://a.example.com",
		"https://a.example.com/":         "https://a.example.com",
		"https://a.example.com/ci":       "https://a.example.com",
		"https://a.example.com/ci/":      "https://a.example.com",
		"http://a.example.com:80/git/ci": "http://a.example.com:80/git",
		"https://a.example.com/gitlab//": "https://a.example.com/gitlab",
		"ftp://a.example.com":            "",
		"a.example.com":                  "",
		"https://":                       "",
		"https://u:p@a.example.com":      "",
		"":                               "",
	} {
		got, err := baseURL(text)
		if (err != nil) != (want == "") || (err == nil && got.String() != want) {
			t.Errorf("baseURL(%q) = %v, %v; want %q", text, got, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "u:p") {
			t.Errorf("baseURL(%q): the error shows credentials: %v", text, err)
		}
	}
}

func TestPrivateCA(t *testing.T) {
	h := &host{}
	h.Server = httptest.NewUnstartedServer(h.keep(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"id": 7, "token": "t"}`)
	}))
	h.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that distrust it are part of the test
	h.StartTLS()
	defer h.Close()
	dir := t.TempDir()
	ca := filepath.Join(dir, "127.0.0.1.crt")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.Certificate().Raw})
	if err := os.WriteFile(ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		files TLS
		ok    bool
	}{
		"nothing": {}, "file": {TLS{CAFile: ca}, true}, "directory": {TLS{CertDir: dir}, true}, "other directory": {TLS{CertDir: t.TempDir()}, false},
	} {
		offer, err := client(t, Config{URL: h.URL, TLS: tt.files}).RequestJob(t.Context(), "")
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && offer.Job.TLSChain != string(text) {
			t.Errorf("%s: TLS chain %q, want the CA", name, offer.Job.TLSChain)
		}
	}
	if _, err := New(Config{URL: h.URL, TLS: TLS{CAFile: "/nonexistent"}}); err == nil {
		t.Error("New took a CA file that does not exist")
	}
}

// A job carries the client certificate that its GitLab was shown.
func TestClientCertificate(t *testing.T) {
	server := standin.Start(t, standin.Options{TLS: true, TLSClients: true})
	runner := server.AddRunner(standin.RunnerSpec{})
	cert, key := server.ClientCertificate()
	dir := t.TempDir()
	for name, text := range map[string][]byte{"crt": server.CACertificate(), "auth.crt": cert, "auth.key": key} {
		if err := os.WriteFile(filepath.Join(dir, "127.0.0.1."+name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server.AddJob(standin.JobSpec{})
	config := Config{URL: server.URL(), Token: job.Secret(runner.Token()), SystemID: "r_0123456789ab", TLS: TLS{CertDir: dir}}
	request := func() (job.Offer, error) {
		c, err := New(config)
		if err != nil {
			return job.Offer{}, err
		}
		defer c.Close()
		return c.RequestJob(t.Context(), "")
	}
	offer, err := request()
	if err != nil {
		t.Fatal(err)
	}
	if j := offer.Job; j.TLSCert != string(cert) || j.TLSKey.Reveal() != string(key) {
		t.Errorf("the job has the certificate %q with key %q, want the config's", j.TLSCert, j.TLSKey)
	}
	config.TLS = TLS{CAFile: filepath.Join(dir, "127.0.0.1.crt")}
	if _, err := request(); err == nil || !strings.Contains(err.Error(), "certificate required") {
		t.Errorf("a request without a certificate: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "127.0.0.1.auth.key")); err != nil {
		t.Fatal(err)
	}
	config.TLS = TLS{CertDir: dir}
	if _, err := request(); err == nil || !strings.Contains(err.Error(), "one is missing") {
		t.Errorf("New took a certificate without its key: %v", err)
	}
}

func TestMetricsCountCalls(t *testing.T) {
	reg := prometheus.NewRegistry()
	h := serve(t, status(204))
	c := client(t, Config{URL: h.URL, Metrics: NewMetrics(reg)})
	for range 2 {
		_, _ = c.RequestJob(t.Context(), "")
	}
	_, _ = c.UpdateJob(t.Context(), who, job.Update{State: job.Running})
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			if c := m.GetCounter(); c != nil {
				got[fmt.Sprint(family.GetName(), labels)] = c.GetValue()
			}
		}
	}
	want := map[string]float64{
		"gitlab_runner_api_request_statuses_total[request_job POST s3cr3tT0k 204 r_0123456789ab]": 2,
		"gitlab_runner_api_request_statuses_total[update_job PUT s3cr3tT0k 204 r_0123456789ab]":   1,
		"gitlab_runner_api_request_retries_total[POST /api/v4/jobs/request]":                      2,
		"gitlab_runner_api_request_retries_total[PUT /api/v4/jobs/{id}]":                          1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("counters (-want +got):\n%s", diff)
	}
}

func TestAnswerIsBounded(t *testing.T) {
	body := &cappedBuffer{max: 10}
	if _, err := io.Copy(body, strings.NewReader("0123456789")); err != nil {
		t.Errorf("10 of 10 bytes: %v", err)
	}
	if _, err := io.Copy(body, strings.NewReader("x")); err == nil {
		t.Error("an 11th byte was taken")
	}
}

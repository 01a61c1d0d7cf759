//go:build e2e

package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runnerd/runnerd/internal/standin"
)

// originHost is how pods and the proxy find the node.
const originHost = "node.test"

// An origin is an https server outside of the cluster, as jobs see it, whose
// certificate an authority has signed that nobody knows.
type origin struct {
	ca      []byte // PEM
	mu      sync.Mutex
	fetches map[string]int // path → how many requests
	direct  []string       // requests that have not come through a proxy
}

// startOrigin serves /package, which may be kept for an hour, and whatever else from
// behind.
func startOrigin(t *testing.T, behind string) *origin {
	t.Helper()
	o := &origin{fetches: map[string]int{}}
	back, err := url.Parse(behind)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/package", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=3600")
		fmt.Fprint(w, "the package\n")
	})
	mux.Handle("/", httputil.NewSingleHostReverseProxy(back))
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, TLSConfig: &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{o.certificate(t)},
	}, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		o.fetches[r.URL.Path]++
		if r.Header.Get("Via") == "" {
			o.direct = append(o.direct, r.Method+" "+r.URL.Path)
		}
		o.mu.Unlock()
		mux.ServeHTTP(w, r)
	})}
	var lc net.ListenConfig
	listener, err := lc.Listen(context.Background(), "tcp", ground.node+":443")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.ServeTLS(listener, "", "")
	}()
	t.Cleanup(func() {
		server.Close()
		<-done
	})
	return o
}

func (o *origin) fetched(path string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.fetches[path]
}

// certificate makes an authority and has it sign for the origin.
func (o *origin) certificate(t *testing.T) tls.Certificate {
	t.Helper()
	sign := func(template, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*ecdsa.PrivateKey, []byte) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
		if signer == nil {
			parent, signer = template, key
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
		if err != nil {
			t.Fatal(err)
		}
		return key, der
	}
	authority := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "origin's authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	caKey, ca := sign(authority, nil, nil)
	authority, err := x509.ParseCertificate(ca) // with its key's identifier, which Python wants to see in what it signs
	if err != nil {
		t.Fatal(err)
	}
	key, leaf := sign(&x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: originHost}, DNSNames: []string{originHost},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, authority, caKey)
	o.ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca})
	return tls.Certificate{Certificate: [][]byte{leaf, ca}, PrivateKey: key}
}

// A caching is the component squid in a namespace of its own.
type caching struct {
	*testing.T
	namespace, dir string
	client         string // reference of the image with curl, git and Python
}

// installSquid applies the component, with the image that `make squid-image` builds,
// and rules for the origin.
func installSquid(t *testing.T, namespace, jobs string, ca []byte) *caching {
	t.Helper()
	c := &caching{T: t, namespace: namespace, dir: t.TempDir()}
	repository, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if _, err := ground.api.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: namespace, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ground.api.CoreV1().Namespaces().Delete(ctx, namespace, metav1.DeleteOptions{}) })
	refs := strings.Fields(c.run(exec.Command(filepath.Join(repository, "bin/images"), "push", "--insecure",
		"--from", os.Getenv("RUNNERD_IMAGES"), "--names", "runnerd-squid client", "--to", ground.registry+"/proxy")))
	if len(refs) != 2 {
		t.Fatalf("images push prints %q, want two references", refs)
	}
	c.client = refs[1]
	image, tag, _ := strings.Cut(strings.TrimPrefix(refs[0], ground.registry), ":")

	text, err := os.ReadFile(filepath.Join(repository, "docs/proxy.md"))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)<!-- commands: squid -->\n\n```console\n(.*?)```").FindSubmatch(text)
	if m == nil {
		t.Fatal("docs/proxy.md has no commands")
	}
	commands := strings.ReplaceAll("\n"+string(m[1]), "\n$ ", "\n")
	commands = strings.ReplaceAll(commands, "--namespace runnerd", "--namespace "+namespace)
	c.write("bin/kubectl", fmt.Sprintf("#!/bin/sh\nexec %q kubectl \"$@\"\n", ground.cluster))
	c.run(exec.Command("bash", "-euo", "pipefail", "-c", commands))
	// Jobs are in another namespace here.
	c.kubectl("--namespace", jobs, "create", "configmap", "squid-ca", "--from-file=ca.crt=squid-ca.crt")

	c.run(exec.Command("cp", "-r", filepath.Join(repository, "deploy/components/squid"), c.dir))
	c.write("overlay/origin-ca.crt", string(ca))
	c.write("overlay/local.conf", `acl origin dstdomain `+originHost+`
http_access allow origin
tls_outgoing_options cafile=/etc/squid-config/origin-ca.crt
access_log stdio:/var/spool/squid/access.log
`)
	c.write("installed/kustomization.yaml", "namespace: "+namespace+"\ncomponents: [../squid]\n")
	c.write("overlay/kustomization.yaml", fmt.Sprintf(`resources: [../installed]
configMapGenerator:
  - {name: squid-config, namespace: %s, behavior: merge, files: [local.conf, origin-ca.crt]}
images:
  - {name: ghcr.io/runnerd/runnerd-squid, newName: %q, newTag: %q}
`, namespace, ground.registry+image, tag))
	c.kubectl("apply", "-k", "overlay")
	c.kubectl("--namespace", namespace, "wait", "--for=condition=available", "--timeout=60s", "deployment/squid")
	return c
}

func (c *caching) write(name, text string) {
	c.Helper()
	path := filepath.Join(c.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		c.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		c.Fatal(err)
	}
}

func (c *caching) kubectl(args ...string) string {
	c.Helper()
	return c.run(exec.Command(ground.cluster, append([]string{"kubectl"}, args...)...))
}

func (c *caching) run(command *exec.Cmd) string {
	c.Helper()
	command.Dir, command.Env = c.dir, append(os.Environ(), "PATH="+filepath.Join(c.dir, "bin")+":"+os.Getenv("PATH"))
	var said strings.Builder
	command.Stderr = &said
	out, err := command.Output()
	if err != nil {
		log, _ := exec.Command(ground.cluster, "kubectl", "--namespace", c.namespace, "logs", "deployment/squid").CombinedOutput()
		c.Fatalf("%q: %v\n%s%s\nthe proxy's log:\n%s", command.Args, err, out, said.String(), log)
	}
	return string(out)
}

// TestProxy: a real Squid reads what jobs fetch over https and keeps it. curl, git,
// Python and the helper's own git trust it, in an image that has never heard of it.
func TestProxy(t *testing.T) {
	if _, err := os.Stat(filepath.Join(os.Getenv("RUNNERD_IMAGES"), "runnerd-squid")); os.Getenv("RUNNERD_IMAGES") == "" || err != nil {
		t.Skip("no image of Squid: build it with `make squid-image`, and name dist/images in RUNNERD_IMAGES")
	}
	store, lines := bucket(t)
	s := start(t, options{
		cache:  lines,
		runner: `clone_url = "https://` + originHost + `"`,
		kubernetes: `http_proxy = "http://squid.NAMESPACE-proxy.svc:3128"
https_proxy = "http://squid.NAMESPACE-proxy.svc:3128"
ca_bundle = { config_map = "squid-ca" }
[runners.kubernetes.build_container_security_context]
run_as_user = 1000`,
	})
	o := startOrigin(t, s.gitlab.URL())
	squid := installSquid(t, s.namespace+"-proxy", s.namespace, o.ca)

	client := standin.Image{Name: squid.client}
	const address = "https://" + originHost
	first := s.add(standin.JobSpec{
		Name: "first", Image: client, Cache: []standin.Cache{{Key: "deps", Paths: []string{"deps/"}, Policy: "pull-push", When: "on_success"}},
		Services: []standin.Service{{Name: image("busybox"), Alias: "web", Command: []string{"httpd", "-f", "-p", "8080", "-h", "/runnerd/ca"}}},
		Script: []string{
			"id -u", "env | grep -i _proxy | sort",
			"curl -sSD headers " + address + "/package; grep -i '^cache-status:' headers",
			"curl -sS http://web:8080/ca.crt | head -n 1",
			"mkdir deps; echo kept > deps/file",
		},
	})
	s.finish(first, standin.Success)
	says(t, first, "\nthe package\n", "\nCache-Status: squid.runnerd.svc;", "\n-----BEGIN CERTIFICATE-----\n", "Saving cache")
	if strings.Contains(first.Text(), ";hit") {
		t.Error("the first fetch is served from the cache")
	}
	t.Logf("the first job:\n%s", section(t, first.Text(), "step_script"))

	second := s.add(standin.JobSpec{Name: "second", Image: client, Cache: []standin.Cache{{Key: "deps", Paths: []string{"deps/"}, Policy: "pull"}}, Script: []string{
		"curl -sSD headers " + address + "/package; grep -i '^cache-status:' headers",
		`python3 -c 'import urllib.request as u; r = u.urlopen("` + address + `/package"); print("python:", r.read().decode().strip(), "-", r.headers["Cache-Status"])'`,
		"git ls-remote https://gitlab-ci-token:$CI_JOB_TOKEN@" + originHost + "/group/hello.git HEAD | cut -f 2",
		"cat deps/file",
		"env -u CURL_CA_BUNDLE -u SSL_CERT_FILE curl -sS " + address + "/package || echo 'not trusted without: curl says' $?",
	}})
	s.finish(second, standin.Success)
	says(t, second, "\nCache-Status: squid.runnerd.svc;hit", "\npython: the package - squid.runnerd.svc;hit", "\nHEAD\n", "\nkept\n", "\nnot trusted without: curl says 60\n")
	t.Logf("the second job:\n%s", section(t, second.Text(), "step_script"))

	if n := o.fetched("/package"); n != 1 {
		t.Errorf("the origin was asked for the package %d times, want once: the proxy has it", n)
	}
	if len(o.direct) > 0 {
		t.Errorf("requests that have not come through the proxy: %q", o.direct)
	}
	seen := squid.kubectl("--namespace", squid.namespace, "exec", "deployment/squid", "--", "cat", "/var/spool/squid/access.log")
	if strings.Contains(seen, store.Endpoint) {
		t.Errorf("caches went through the proxy:\n%s", seen)
	}
	if !strings.Contains(seen, "/group/hello.git/info/refs") {
		t.Error("the helper's git has not gone through the proxy")
	}
	t.Logf("what the proxy has seen:\n%s", seen)
}

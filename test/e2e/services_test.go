//go:build e2e

package e2e

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/runnerd/runnerd/internal/standin"
)

// web is a service that answers text on a port, once the commands before it
// have run.
func web(alias, port, before, text string, vars ...standin.Variable) standin.Service {
	return standin.Service{
		Name: image("busybox"), Alias: alias, Entrypoint: []string{"sh", "-c"}, Variables: vars,
		Command: []string{before + `mkdir /tmp/w && echo "` + text + `" > /tmp/w/index.html && exec httpd -f -p ` + port + ` -h /tmp/w`},
	}
}

// fetch is a script line that prints what a host answers.
func fetch(host, port string) string {
	return `exec 3<>/dev/tcp/` + host + `/` + port + ` && printf 'GET / HTTP/1.0\r\n\r\n' >&3 && cat <&3 && exec 3>&-`
}

// TestServices: a script finds the services that name a port listening, each
// under all its names, and nobody sees another one's variables.
func TestServices(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	j := s.add(standin.JobSpec{
		Name: "services",
		Variables: []standin.Variable{
			{Key: "NAMES", Value: "two,zwei", Public: true},
			{Key: "HIDDEN", Value: "hidden-from-services"},
		},
		Services: []standin.Service{
			web("one uno", "8081", "sleep 3; ", "first own=$OWN hidden=$HIDDEN.", standin.Variable{Key: "HEALTHCHECK_TCP_PORT", Value: "8081"}, standin.Variable{Key: "OWN", Value: "mine"}),
			web("$NAMES", "8082", "", "second own=$OWN.", standin.Variable{Key: "HEALTHCHECK_TCP_PORT", Value: "8082"}),
		},
		Script: []string{fetch("one", "8081"), fetch("uno", "8081"), fetch("two", "8082"), fetch("zwei", "8082"), `echo "build own=$OWN."`},
	})
	deaf := s.add(standin.JobSpec{
		Name:     "deaf",
		Services: []standin.Service{{Name: image("busybox"), Alias: "deaf", Command: []string{"sleep", "100"}, Variables: []standin.Variable{{Key: "HEALTHCHECK_TCP_PORT", Value: "9"}}}},
		Script:   []string{"echo went on"},
	})
	never := s.add(standin.JobSpec{
		Name:     "never",
		Services: []standin.Service{{Name: ground.registry + "/test/absent:1", PullPolicy: []string{"never"}}},
		Script:   []string{"echo went on"},
	})
	s.finish(j, standin.Success)
	for text, times := range map[string]int{
		"first own=mine hidden=.\n": 2, "second own=.\n": 2, "build own=.\n": 1,
		"Waiting for service one on port 8081 ...": 1, "Service one accepts connections on port 8081": 1, "Service two accepts connections on port 8082": 1,
	} {
		if got := strings.Count(j.Text(), text); got != times {
			t.Errorf("%q is %d times in the log, want %d:\n%s", text, got, times, j.Text())
		}
	}
	s.finish(deaf, standin.Success)
	for _, want := range []string{"WARNING: service deaf does not accept connections on port 9 after 30s", "\nwent on\n"} {
		if !strings.Contains(deaf.Text(), want) {
			t.Errorf("the log does not say %q:\n%s", want, deaf.Text())
		}
	}
	s.finish(never, standin.Failed)
	// The script may have run by then: the kubelet starts the build container
	// whatever became of a service.
	if !strings.Contains(never.Text(), "test/absent:1") || !strings.Contains(never.Text(), "pull policy is never") {
		t.Errorf("log of a service whose image is absent:\n%s", never.Text())
	}
}

// TestServiceOutput: what services print, and how they end, is in the job's log.
func TestServiceOutput(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	pass, open := gate(t)
	secret := standin.Variable{Key: "PASSWORD", Value: "hunter22-hunter22", Masked: true}
	chatty := standin.Service{
		Name: image("busybox"), Alias: "chatty",
		Command:   []string{"sh", "-c", `i=0; while [ $i -lt 50 ]; do echo "line $i of chatty"; i=$((i+1)); done; echo "my password is $SECRET"; sleep 3600`},
		Variables: []standin.Variable{{Key: "SECRET", Value: "$PASSWORD"}},
	}
	debug := s.add(standin.JobSpec{
		Name: "debug", Services: []standin.Service{chatty},
		Variables: []standin.Variable{secret, {Key: "CI_DEBUG_SERVICES", Value: "true", Public: true}},
		Script:    []string{`printf 'no line'; sleep 1; echo`, "echo end"},
	})
	plain := s.add(standin.JobSpec{Name: "plain", Services: []standin.Service{chatty}, Variables: []standin.Variable{secret}})
	db := standin.Service{
		Name: image("busybox"), Alias: "db", Command: []string{"sh", "-c", `echo "cannot open /data with $SECRET"; exit 9`},
		Variables: []standin.Variable{{Key: "SECRET", Value: "$PASSWORD"}},
	}
	dying := s.add(standin.JobSpec{
		Name: "dying", Variables: []standin.Variable{secret}, Services: []standin.Service{db}, Script: []string{pass, "echo went on"},
	})
	// A script fails at once without its database, sooner than the cluster says why.
	failing := s.add(standin.JobSpec{
		Name: "failing", Variables: []standin.Variable{secret}, Services: []standin.Service{db}, Script: []string{"echo went on", "exit 3"},
	})
	s.finish(debug, standin.Success)
	for i := range 50 {
		if line := fmt.Sprintf("[service:chatty] line %d of chatty\n", i); strings.Count(debug.Text(), line) != 1 {
			t.Errorf("%q is %d times in the log, want once", line, strings.Count(debug.Text(), line))
		}
	}
	if !strings.Contains(debug.Text(), "[service:chatty] my password is [MASKED]\n") {
		t.Errorf("no masked line in the log:\n%s", debug.Text())
	}
	s.finish(plain, standin.Success)
	if strings.Contains(plain.Text(), "of chatty") {
		t.Error("a service's output is shown that nobody has asked for")
	}
	const last = "[service:db] cannot open /data with [MASKED]\n"
	s.until(dying, "the service's end in its log", func(j *standin.Job) bool { return strings.Contains(j.Text(), last) })
	open()
	s.finish(dying, standin.Success)
	s.finish(failing, standin.Failed)
	for _, j := range []*standin.Job{dying, failing} {
		for _, want := range []string{
			"WARNING: service db (image " + image("busybox") + ") has ended while the job runs: Error, exit code 9; its last lines:", last, "went on\n",
		} {
			if !strings.Contains(j.Text(), want) {
				t.Errorf("no %q in the log of %s:\n%s", want, j.Name(), j.Text())
			}
		}
	}
}

// gate returns a line of a script that waits there until the gate is opened.
func gate(t *testing.T) (pass string, open func()) {
	t.Helper()
	listener, err := net.Listen("tcp", ground.node+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	host, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return "read -r word < /dev/tcp/" + host + "/" + port + ` && echo "gate is $word"`, func() {
		t.Helper()
		c, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		if _, err := c.Write([]byte("open\n")); err != nil {
			t.Fatal(err)
		}
	}
}

package conformance

import (
	"strings"

	"github.com/runnerd/runnerd/internal/standin"
)

// get is a function of bash that fetches a page with nothing but bash. A service may
// start long after the script on a busy node.
const get = `get() { for try in $(seq 500); do if exec 3<>"/dev/tcp/$1/$2"; then printf 'GET /%s HTTP/1.0\r\n\r\n' "$3" >&3; tail -n 1 <&3; return; fi 2>/dev/null; sleep 0.2; done; echo unreachable; return 1; }`

// web is a service that says text at a port.
func web(alias, port, text string) standin.Service {
	return standin.Service{
		Alias: alias, Entrypoint: []string{"sh", "-c"},
		Command: []string{"mkdir /www && echo \"" + text + "\" > /www/index.html && exec httpd -f -p " + port + " -h /www"},
	}
}

// chatty is a service that prints a line before it accepts connections.
func chatty(port string) standin.Service {
	return standin.Service{
		Alias: "chatty", Entrypoint: []string{"sh", "-c"},
		Command: []string{"echo from the service; mkdir /www; exec httpd -f -p " + port + " -h /www"},
	}
}

var services = []Row{
	{
		Name: "service-alias", Spec: "15", On: ClusterOnly,
		Behaviour: "A service is reached by its alias.",
		Job:       standin.JobSpec{Services: []standin.Service{web("web", "8001", "served")}, Script: []string{get, "get web 8001"}},
		Want:      prints("served"),
	},
	{
		Name: "service-localhost", Spec: "15", On: ClusterOnly,
		Behaviour: "A service shares the job's network: it is reached at localhost.",
		Job:       standin.JobSpec{Services: []standin.Service{web("", "8002", "served")}, Script: []string{get, "get 127.0.0.1 8002"}},
		Want:      prints("served"),
	},
	{
		Name: "service-name-of-the-image", Spec: "15", On: ClusterOnly,
		Behaviour: "A service is reached by the names made of its image's, with __ or - for the slashes.",
		Job:       standin.JobSpec{Services: []standin.Service{web("", "8003", "served")}, Script: []string{get, `get "$SERVICE_HOST" 8003`}},
		Make: func(w *World, job *standin.JobSpec) {
			host, _, _ := strings.Cut(w.Image("busybox"), ":") // the registry's port is left out
			job.Variables = vars("SERVICE_HOST", host+"-test-busybox")
		},
		Want: prints("served"),
	},
	{
		Name: "service-aliases", Spec: "3.8", On: ClusterOnly,
		Behaviour: "A service may have several aliases, and variables in them.",
		Job: standin.JobSpec{
			Services: []standin.Service{web("one,two $THIRD", "8004", "served")}, Variables: vars("THIRD", "three"),
			Script: []string{get, "get one 8004; get two 8004; get three 8004"},
		},
		Want: prints("served", "served", "served"),
	},
	{
		Name: "service-several", Spec: "3.8", On: ClusterOnly,
		Behaviour: "Several services of one image run side by side.",
		Job: standin.JobSpec{
			Services: []standin.Service{web("a", "8005", "from a"), web("b", "8006", "from b")}, Script: []string{get, "get a 8005; get b 8006"},
		},
		Want: prints("from a", "from b"),
	},
	{
		Name: "service-variables", Spec: "8.4", On: ClusterOnly,
		Behaviour: "A service sees the public variables of the job and its own.",
		Job: standin.JobSpec{
			Services: []standin.Service{func() standin.Service {
				s := web("web", "8007", "$FLAVOUR $MODE [$HIDDEN]")
				s.Variables = vars("MODE", "own")
				return s
			}()},
			Variables: append(vars("FLAVOUR", "public"), standin.Variable{Key: "HIDDEN", Value: "hidden"}), Script: []string{get, "get web 8007"},
		},
		Want: prints("public own []"),
	},
	{
		Name: "service-variables-expand", Spec: "8.4", On: ClusterOnly,
		Behaviour: "A service's variable may refer to a variable of the job that is not public.",
		Job: standin.JobSpec{
			Services: []standin.Service{func() standin.Service {
				s := web("web", "8008", "$GIVEN")
				s.Variables = vars("GIVEN", "<$HIDDEN>")
				return s
			}()},
			Variables: []standin.Variable{{Key: "HIDDEN", Value: "hidden"}}, Script: []string{get, "get web 8008"},
		},
		Want: prints("<hidden>"),
	},
	{
		Name: "service-image-not-found", Spec: "7.3", On: ClusterOnly,
		Behaviour: "A service whose image is not there fails the job with a configuration error that names it, even when the script was over sooner.",
		Make: func(w *World, job *standin.JobSpec) {
			job.Services = []standin.Service{{Name: strings.Replace(w.Image("debian"), "debian", "noservice", 1)}}
		},
		Want: Want{State: standin.Failed, Reason: "runner_configuration_error", Says: []string{"/test/noservice:1", "Job failed"}, NoLines: []string{"Job succeeded"}},
	},
	{
		Name: "service-healthcheck-port", Spec: "9.4", On: ClusterOnly,
		Behaviour: "The script waits until the port in a service's HEALTHCHECK_TCP_PORT accepts connections.",
		Job: standin.JobSpec{
			Services: []standin.Service{{
				Alias: "late", Entrypoint: []string{"sh", "-c"}, Variables: vars("HEALTHCHECK_TCP_PORT", "8091"),
				Command: []string{`sleep 3; mkdir /www && echo served > /www/index.html && exec httpd -f -p 8091 -h /www`},
			}},
			Script: []string{`exec 3<>/dev/tcp/late/8091 && printf 'GET / HTTP/1.0\r\n\r\n' >&3 && tail -n 1 <&3`},
		},
		Want: prints("served"),
	},
	{
		Name: "service-output", Spec: "9.4", On: ClusterOnly,
		Behaviour: "CI_DEBUG_SERVICES shows what a service prints, behind its name.",
		Job: standin.JobSpec{
			Services: []standin.Service{chatty("8010")}, Variables: vars("CI_DEBUG_SERVICES", "true"), Script: []string{get, "get chatty 8010"},
		},
		Want: Want{Lines: []string{"[service:chatty] from the service"}},
	},
	{
		Name: "service-output-not-asked-for", Spec: "9.4", On: ClusterOnly,
		Behaviour: "Without CI_DEBUG_SERVICES what a service prints is not shown.",
		Job: standin.JobSpec{
			Services: []standin.Service{chatty("8012")}, Script: []string{get, "get chatty 8012"},
		},
		Want: Want{Lacks: []string{"from the service"}},
	},
	{
		Name: "service-ends", Spec: "15", On: ClusterOnly,
		Behaviour: "A service that ends while the job runs is named in the log with its exit code and last lines; the job goes on.",
		Job: standin.JobSpec{
			Services: []standin.Service{{Alias: "dying", Command: []string{"sh", "-c", "echo no disk; nc -l -p 8011 </dev/null; exit 9"}}},
			// It lives until somebody connects. A failed job waits for such news.
			Script: []string{"up() { (exec 3<>/dev/tcp/dying/8011) 2>/dev/null; }", "until up; do sleep 0.2; done; while up; do sleep 0.2; done", "echo went on", "exit 3"},
		},
		Want: Want{State: standin.Failed, Exit: 3, Lines: []string{"went on"}, Says: []string{"service dying", "exit code 9; its last lines:", "[service:dying] no disk"}},
	},
	{
		Name: "service-alias-invalid", Spec: "15", On: ClusterOnly,
		Behaviour: "An alias that is no host name fails the job.",
		Job:       standin.JobSpec{Services: []standin.Service{web("no_good!", "8009", "x")}},
		Want:      Want{State: standin.Failed, Says: []string{"no_good!"}, NoLines: []string{"the script ran"}},
	},
}

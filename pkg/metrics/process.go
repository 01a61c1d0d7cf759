package metrics

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Build says which program this is.
type Build struct{ Name, Version, Revision, BuiltAt string }

// The states of the process, in the order in which it goes through them.
const (
	Starting         = "starting"
	Running          = "running"
	GracefulShutdown = "graceful-shutdown"
	ForcefulShutdown = "forceful-shutdown"
)

var processStates = []string{Starting, Running, GracefulShutdown, ForcefulShutdown}

// Process are the metrics of the process as a whole.
type Process struct {
	state        *prometheus.GaugeVec
	configLoaded prometheus.Counter
	configErrors prometheus.Counter
}

// NewProcess makes the process metrics and registers them, with Go's and the
// operating system's, with reg.
func NewProcess(reg prometheus.Registerer, b Build) *Process {
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "gitlab_runner_version_info", Help: "Which version of runnerd this is; always 1.",
	}, []string{"name", "version", "revision", "branch", "go_version", "built_at", "os", "architecture"})
	info.WithLabelValues(b.Name, b.Version, b.Revision, "", runtime.Version(), b.BuiltAt, runtime.GOOS, runtime.GOARCH).Set(1)
	p := &Process{
		state: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gitlab_runner_process_state_info", Help: "1 for the state that the process is in.",
		}, []string{"state"}),
		configLoaded: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gitlab_runner_configuration_loaded_total", Help: "How often the configuration was loaded.",
		}),
		configErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gitlab_runner_configuration_loading_error_total", Help: "How often loading the configuration failed.",
		}),
	}
	reg.MustRegister(info, p.state, p.configLoaded, p.configErrors,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	p.State(Starting)
	return p
}

// State says in which state the process is now.
func (p *Process) State(now string) {
	for _, s := range processStates {
		value := 0.0
		if s == now {
			value = 1
		}
		p.state.WithLabelValues(s).Set(value)
	}
}

// ConfigLoaded says that a configuration has come into force.
func (p *Process) ConfigLoaded() { p.configLoaded.Inc() }

// ConfigFailed says that a configuration could not be loaded.
func (p *Process) ConfigFailed() { p.configErrors.Inc() }

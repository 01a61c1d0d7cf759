package metrics

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/zap/zapcore"
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
	saved        prometheus.Counter
	saveErrors   prometheus.Counter
	errors       *prometheus.CounterVec
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
		saved: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gitlab_runner_configuration_saved_total", Help: "How often the configuration was written, with a new token.",
		}),
		saveErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gitlab_runner_configuration_saving_error_total", Help: "How often the configuration could not be written.",
		}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gitlab_runner_errors_total", Help: "Lines of runnerd's own log that tell of trouble, by level.",
		}, []string{"level"}),
	}
	for _, level := range levels {
		p.errors.WithLabelValues(level)
	}
	reg.MustRegister(info, p.state, p.configLoaded, p.configErrors, p.saved, p.saveErrors, p.errors,
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

// ConfigSaved says that the configuration was written, or err why it was not.
func (p *Process) ConfigSaved(err error) {
	if err != nil {
		p.saveErrors.Inc()
		return
	}
	p.saved.Inc()
}

// levels are the names of the log's levels, as GitLab Runner has them.
var levels = map[zapcore.Level]string{
	zapcore.WarnLevel: "warning", zapcore.ErrorLevel: "error", zapcore.PanicLevel: "panic", zapcore.FatalLevel: "fatal",
}

// Logged counts an entry of the log; see zap.Hooks.
func (p *Process) Logged(e zapcore.Entry) error {
	if level, ok := levels[e.Level]; ok {
		p.errors.WithLabelValues(level).Inc()
	}
	return nil
}

// ConfigFailed says that a configuration could not be loaded.
func (p *Process) ConfigFailed() { p.configErrors.Inc() }

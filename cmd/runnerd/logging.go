package main

import (
	"io"

	"github.com/go-logr/zapr"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"k8s.io/klog/v2"

	"github.com/runnerd/runnerd/pkg/config"
)

// newLogger returns runnerd's own log, for operators, in the config's format.
// The level can be changed while it is in use.
func newLogger(c *config.Config, out io.Writer) (*zap.Logger, zap.AtomicLevel) {
	level := zap.NewAtomicLevelAt(logLevel(c.LogLevel))
	settings := zap.NewProductionEncoderConfig()
	settings.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	settings.EncodeDuration = zapcore.StringDurationEncoder
	encoder := zapcore.NewConsoleEncoder(settings)
	if c.LogFormat == "json" {
		encoder = zapcore.NewJSONEncoder(settings)
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(out)), level)), level
}

// logLevel translates GitLab Runner's names; the config has checked them.
func logLevel(name string) zapcore.Level {
	switch name {
	case "debug":
		return zapcore.DebugLevel
	case "warning", "warn":
		return zapcore.WarnLevel
	case "error":
		return zapcore.ErrorLevel
	case "fatal", "panic":
		return zapcore.FatalLevel
	}
	return zapcore.InfoLevel
}

// logKubernetes carries what client-go has to say into log.
func logKubernetes(log *zap.Logger) {
	klog.SetLogger(zapr.NewLogger(log.Named("kubernetes")))
}

func logWarnings(log *zap.Logger, warnings []config.Warning) {
	for _, w := range warnings {
		log.Warn("configuration: " + w.String())
	}
}

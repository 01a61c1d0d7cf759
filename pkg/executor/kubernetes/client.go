package kubernetes

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// A Client is the way to a cluster.
type Client struct {
	API  kubernetes.Interface
	Logs LogOpener
}

// A LogOpener opens a container's log. The stream ends when the container has
// ended (options.Follow) or at the log's present end; closing it, or the end of
// ctx, breaks it off. It does not retry.
type LogOpener interface {
	OpenLog(ctx context.Context, namespace, pod string, options *corev1.PodLogOptions) (io.ReadCloser, error)
}

// Connection says how to reach a cluster's API server. The zero value is the
// cluster that this process runs in, or else the user's kubeconfig
// (KUBECONFIG, ~/.kube/config).
type Connection struct {
	Host        string // URL; "" takes it from the kubeconfig or the cluster
	Context     string // of the kubeconfig; "" is its current one
	BearerToken string // beats the kubeconfig's
	CertFile    string
	KeyFile     string
	CAFile      string
	UserAgent   string
	Metrics     *Metrics // may be nil
}

// Bounds for a daemon with many jobs: a job takes about six short requests.
const (
	qps            = 200
	burst          = 400
	requestTimeout = 30 * time.Second

	// A log stream that nobody reads fills no more than this of memory.
	streamBuffer = 64 << 10
)

// Connect returns a client. It makes no request.
func Connect(c Connection) (Client, error) {
	config, err := c.rest()
	if err != nil {
		return Client{}, fmt.Errorf("kubernetes: connection: %w", err)
	}
	config.QPS, config.Burst = qps, burst
	config.UserAgent = c.UserAgent
	config.Wrap(c.Metrics.wrap)
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	api, err := kubernetes.NewForConfig(config)
	if err != nil {
		return Client{}, fmt.Errorf("kubernetes: client: %w", err)
	}
	logs, err := logClient(config)
	if err != nil {
		return Client{}, fmt.Errorf("kubernetes: client for logs: %w", err)
	}
	return Client{API: api, Logs: podLogs{logs}}, nil
}

func (c Connection) rest() (*rest.Config, error) {
	if c.Host == "" && c.Context == "" {
		if config, err := rest.InClusterConfig(); err == nil {
			return c.override(config), nil
		}
	}
	if c.Host != "" {
		return c.override(&rest.Config{Host: c.Host}), nil
	}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		clientcmd.NewDefaultClientConfigLoadingRules(),
		&clientcmd.ConfigOverrides{CurrentContext: c.Context},
	).ClientConfig()
	if err != nil {
		return nil, err
	}
	return c.override(config), nil
}

func (c Connection) override(config *rest.Config) *rest.Config {
	if c.BearerToken != "" {
		config.BearerToken, config.BearerTokenFile = c.BearerToken, ""
	}
	if c.CertFile != "" {
		config.CertFile, config.KeyFile = c.CertFile, c.KeyFile
	}
	if c.CAFile != "" {
		config.CAFile = c.CAFile
	}
	return config
}

// logClient has connections of its own, so that hundreds of streams do not
// delay the short requests, with small receive windows, so that a job whose log
// cannot be sent on costs little memory. Pings find dead connections: a silent
// job's stream would wait on one for ever.
func logClient(config *rest.Config) (kubernetes.Interface, error) {
	config = rest.CopyConfig(config)
	config.RateLimiter = nil
	config.QPS = -1 // retries are spaced by the reader
	tls, err := rest.TLSConfigFor(config)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: requestTimeout, KeepAlive: 30 * time.Second}
	transport, err := rest.HTTPWrappersForConfig(config, &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dialer.DialContext,
		TLSClientConfig:       tls,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: requestTimeout,
		ForceAttemptHTTP2:     true,
		HTTP2: &http.HTTP2Config{
			MaxReceiveBufferPerStream: streamBuffer,
			SendPingTimeout:           30 * time.Second,
			PingTimeout:               15 * time.Second,
		},
	})
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfigAndClient(config, &http.Client{Transport: transport})
}

type podLogs struct{ api kubernetes.Interface }

func (p podLogs) OpenLog(ctx context.Context, namespace, pod string, options *corev1.PodLogOptions) (io.ReadCloser, error) {
	return p.api.CoreV1().Pods(namespace).GetLogs(pod, options).Stream(ctx)
}

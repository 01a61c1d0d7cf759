package agent

import (
	"net/http"
	"net/url"

	"golang.org/x/net/http/httpproxy"
)

// proxy is how the helper's own transfers reach the outside: as the operator says.
// The job's variables choose for its own programs, and for git; here they would be a
// way to the URLs of uploads. Without a word of the operator's the container's
// environment counts.
func (h *helper) proxy() func(*http.Request) (*url.URL, error) {
	p := h.plan.Proxy
	if p.HTTP == "" && p.HTTPS == "" {
		return nil
	}
	config := httpproxy.Config{HTTPProxy: p.HTTP, HTTPSProxy: p.HTTPS, NoProxy: p.NoProxy()}
	choose := config.ProxyFunc()
	return func(r *http.Request) (*url.URL, error) { return choose(r.URL) }
}

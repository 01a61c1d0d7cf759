package secret

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxAnswer bounds what is read of an answer. Vault itself takes requests up to
// 32 MiB, and a variable has to fit into a pod's Secret, which takes 1 MiB.
const maxAnswer = 2 << 20

func newClient(roots *x509.CertPool) *http.Client {
	return &http.Client{
		Timeout: requestTimeout,
		// A redirect would carry the token to wherever the server says.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true,
			TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
			DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
			TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: 30 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
		},
	}
}

// A call is one request to a Vault.
type call struct {
	did       string // for messages
	method    string
	server    string // URL
	namespace string
	path      string // below /v1/, not escaped
	token     string
	body      any // nil: none
}

// do sends a call and reads the answer into into, unless that is nil.
func (r *Resolver) do(ctx context.Context, c call, into any) error {
	request, err := c.request(ctx)
	if err != nil {
		return &answerError{c.did, "the request cannot be made"} // the cause might quote it
	}
	request.Header.Set("User-Agent", r.userAgent)
	answer, err := r.client.Do(request)
	if err != nil {
		return &networkError{c.did, withoutURL(err)}
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	switch {
	case err != nil:
		return &networkError{c.did, err}
	case len(body) > maxAnswer:
		return &answerError{c.did, fmt.Sprintf("the answer is larger than %d bytes", maxAnswer)}
	case answer.StatusCode >= 300 && answer.StatusCode < 400:
		return fmt.Errorf("%s: %w", c.did, errRedirect)
	case answer.StatusCode == http.StatusNotFound && c.did == didRead:
		return errMissing
	case answer.StatusCode >= 400:
		return &statusError{c.did, answer.StatusCode, said(body)}
	case into == nil:
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if decoder.Decode(into) != nil {
		return &answerError{c.did, "the answer is not JSON of the right shape"} // the cause might quote it
	}
	return nil
}

func (c call) request(ctx context.Context) (*http.Request, error) {
	target, err := url.Parse(c.server)
	if err != nil {
		return nil, err
	}
	body := io.Reader(http.NoBody)
	if c.body != nil {
		text, err := json.Marshal(c.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, c.method, target.JoinPath("v1").String()+"/"+escaped(c.path), body)
	if err != nil {
		return nil, err
	}
	request.Header.Set("X-Vault-Request", "true")
	request.Header.Set("Content-Type", "application/json")
	if c.namespace != "" {
		request.Header.Set("X-Vault-Namespace", c.namespace)
	}
	if c.token != "" {
		request.Header.Set("X-Vault-Token", c.token)
	}
	return request, nil
}

// escaped keeps what a path's parts hold from being anything but path.
func escaped(path string) string {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.Join(parts, "/")
}

// withoutURL keeps the message short: it names the server anyway.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// maxSaid bounds what a message quotes of a server.
const maxSaid = 300

// said is what a Vault gives as the reasons of a refusal, on one line.
func said(body []byte) string {
	var refusal struct {
		Errors []string `json:"errors"`
	}
	if json.Unmarshal(body, &refusal) != nil {
		return ""
	}
	text := strings.Join(strings.Fields(strings.Join(refusal.Errors, "; ")), " ")
	if len(text) > maxSaid {
		text = strings.ToValidUTF8(text[:maxSaid], "") + "…"
	}
	return text
}

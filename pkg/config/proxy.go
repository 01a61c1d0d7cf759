package config

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Proxy says through what jobs, and what runnerd does in their pods, reach the
// outside. "" means nothing.
type Proxy struct {
	HTTPProxy  string  `toml:"http_proxy"`  // URL of the proxy for http://
	HTTPSProxy string  `toml:"https_proxy"` // URL of the proxy for https://
	NoProxy    Strings `toml:"no_proxy"`    // hosts, domains and addresses that are reached without; a list, or one text with commas
}

func (p *Proxy) validate(r *report, at string) {
	for key, address := range map[string]string{"http_proxy": p.HTTPProxy, "https_proxy": p.HTTPSProxy} {
		u, err := url.Parse(address)
		if address != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
			r.problem(at+"."+key, "no URL of a proxy (not shown, it may hold a password); write one such as \"http://proxy.example.com:3128\"")
		}
	}
	if len(p.NoProxy) > 0 && p.HTTPProxy == "" && p.HTTPSProxy == "" {
		r.warn(at+".no_proxy", "has no effect without http_proxy or https_proxy")
	}
	for i, host := range p.NoProxy {
		if strings.Contains(host, "://") {
			r.problem(listed(r, at+".no_proxy", i), "%q: write host names, domains (\".example.com\") and addresses, without a scheme, separated by commas", host)
		}
	}
}

// NoProxyHosts are the entries of NoProxy, each alone.
func (p *Proxy) NoProxyHosts() []string {
	var hosts []string
	for _, entry := range p.NoProxy {
		for host := range strings.SplitSeq(entry, ",") {
			if host = strings.TrimSpace(host); host != "" {
				hosts = append(hosts, host)
			}
		}
	}
	return hosts
}

// A CABundle says where certificate authorities are that jobs are to trust: in a file
// of runnerd's own, or in an object beside the job's pod. In the config it is the
// file's path, or a table.
type CABundle struct {
	File      string
	ConfigMap string
	Secret    string
	Key       string // of the object; "ca.crt"

	PEM string // of File; filled in by Parse
}

// defaultCAKey is where cert-manager, trust-manager and kubelets have it.
const defaultCAKey = "ca.crt"

func (b *CABundle) decode(v any) error {
	const want = `write the path of a file, or { config_map = "name", key = "ca.crt" }, or { secret = "name", key = "ca.crt" }`
	switch v := v.(type) {
	case string:
		b.File = v
		return nil
	case map[string]any:
		fields := map[string]*string{"file": &b.File, "config_map": &b.ConfigMap, "secret": &b.Secret, "key": &b.Key}
		for key, value := range v {
			field, known := fields[key]
			text, isText := value.(string)
			if !known || !isText {
				return fmt.Errorf("%q is no text, or no key of it; %s", key, want)
			}
			*field = text
		}
		return nil
	}
	return wrongType(v, want)
}

func (b *CABundle) validate(r *report, at string) {
	set := 0
	for _, place := range []string{b.File, b.ConfigMap, b.Secret} {
		if place != "" {
			set++
		}
	}
	switch {
	case set > 1 || set == 0 && b.Key != "" || b.File != "" && b.Key != "":
		r.problem(at, `name one place: a file, or { config_map = "name", key = "ca.crt" }, or { secret = "name", key = "ca.crt" }`)
	case b.ConfigMap+b.Secret != "" && len(validation.IsDNS1123Subdomain(b.ConfigMap+b.Secret)) > 0:
		r.problem(at, "%q cannot be a name in Kubernetes; write small letters, digits and dashes", b.ConfigMap+b.Secret)
	case b.Key != "" && len(validation.IsConfigMapKey(b.Key)) > 0:
		r.problem(at, "%q cannot be a key of a ConfigMap or Secret", b.Key)
	}
}

// maxBundle is what fits into a job's Secret, beside the job.
const maxBundle = 640 << 10

// ReadBundle returns the certificates of the file at path, which are PEM.
func ReadBundle(path string) (string, error) {
	text, err := readRegular(path, maxBundle+1)
	if err != nil {
		return "", err
	}
	if len(text) > maxBundle {
		return "", fmt.Errorf("%s is larger than %d KiB, which is all that a job's Secret can take along; a ConfigMap may hold more", path, maxBundle>>10)
	}
	return string(text), checkPEM(path, text)
}

// checkPEM refuses what no program could read: something that is no certificate, or
// a key, which nobody but its owner may see.
func checkPEM(path string, text []byte) error {
	count := 0
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if strings.Contains(block.Type, "PRIVATE KEY") {
			return errors.New(path + " holds a private key, which every job could read; leave it out")
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return fmt.Errorf("%s: certificate %d: %w", path, count+1, err)
		}
		count++
	}
	if count == 0 {
		return errors.New(path + " holds no certificate in PEM form")
	}
	return nil
}

// readBundles reads the files that ca_bundle names.
func (c *Config) readBundles(r *report) {
	for i := range c.Runners {
		b := &c.Runners[i].Kubernetes.CABundle
		if b.File == "" {
			continue
		}
		var err error
		if b.PEM, err = ReadBundle(b.File); err != nil {
			r.problem(elementPath("runners", i)+".kubernetes.ca_bundle", "%v; write the path of a file with the certificates of the authorities that jobs shall trust", err)
		}
	}
}

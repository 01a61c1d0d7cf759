package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/runnerd/runnerd/pkg/cacert"
	"github.com/runnerd/runnerd/pkg/job"
)

// spareAuthorities is the hand-over file with the helper image's authorities, for
// images that have none.
const spareAuthorities = "authorities.pem"

// loadAuthority reads the operator's authorities, and hands those of the helper's
// image over.
func (h *helper) loadAuthority() error {
	if h.plan.Authority == "" {
		return nil
	}
	text, err := cacert.ReadBundle(h.plan.Authority)
	if err != nil {
		return fmt.Errorf("read the certificate authorities of ca_bundle: %w", err)
	}
	if h.authority = cacert.Merge(text); len(h.authority) == 0 {
		return job.Failf(job.RunnerConfigurationError, "the runner's ca_bundle holds no certificate in PEM form")
	}
	return h.share.writeText(spareAuthorities, cacert.SystemBundle())
}

// withAuthority is a text of certificates with the operator's; nil where there are
// none, which leaves it to the system's.
func (h *helper) withAuthority(pem string) []byte {
	if pem == "" && len(h.authority) == 0 {
		return nil
	}
	return append([]byte(pem+"\n"), h.authority...)
}

// caVariables are those by which programs are told of a file with all authorities
// that they are to trust. Node adds them to its own; all others replace theirs.
var caVariables = []string{
	"SSL_CERT_FILE",                      // OpenSSL and what is made with it (Python, Ruby, PHP), Go, Rust
	"CURL_CA_BUNDLE",                     // curl
	"GIT_SSL_CAINFO",                     // git
	"NODE_EXTRA_CA_CERTS",                // Node.js: npm, yarn, pnpm
	"REQUESTS_CA_BUNDLE",                 // Python's requests
	"PIP_CERT",                           // pip
	"CARGO_HTTP_CAINFO",                  // Cargo
	"AWS_CA_BUNDLE",                      // AWS's SDKs
	"CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE", // gcloud
	"BUNDLE_SSL_CA_CERT",                 // Bundler
	"DENO_CERT",                          // Deno
	"HEX_CACERTS_PATH",                   // Hex, of Elixir and Erlang
	"NIX_SSL_CERT_FILE",                  // Nix
	"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",   // gRPC
	"RUNNERD_CA_BUNDLE",                  // whatever has an option for it
}

// trust makes the files with all that a job's programs are to trust, and returns the
// variables that lead to them: the image's own authorities, the operator's, and
// GitLab's. What the image's own variables name is in them, too.
func (b *builder) trust() ([]variable, error) {
	if b.plan.Authority == "" || b.trusted != nil {
		return b.trusted, nil
	}
	image := newEnviron(os.Environ())
	operators, err := cacert.ReadBundle(b.plan.Authority)
	if err != nil {
		return nil, fmt.Errorf("read the certificate authorities of ca_bundle: %w", err)
	}
	system := cacert.SystemBundle()
	texts := [][]byte{system}
	for _, name := range caVariables {
		if text, err := cacert.ReadBundle(image.get(name)); err == nil {
			texts = append(texts, text)
			system = append(system, text...)
		}
	}
	if len(system) == 0 {
		spare, err := b.share.readText(spareAuthorities)
		if err != nil {
			return nil, err
		}
		texts = append(texts, spare)
	}
	if text, err := cacert.ReadBundle(job.Value(b.plan.Variables, "CI_SERVER_TLS_CA_FILE")); err == nil {
		texts = append(texts, text)
	}
	all := cacert.Merge(append(texts, operators)...)
	if b.trustDir, err = os.MkdirTemp(b.share.path, "trust-"); err != nil {
		return nil, fmt.Errorf("make a directory for certificates: %w", err)
	}
	bundle := filepath.Join(b.trustDir, "ca-bundle.crt")
	// A script may become another user.
	if err := errors.Join(os.Chmod(b.trustDir, 0o755), os.WriteFile(bundle, all, 0o644), os.Chmod(bundle, 0o644)); err != nil {
		return nil, fmt.Errorf("write the certificates of ca_bundle: %w", err)
	}
	for _, name := range caVariables {
		b.trusted = append(b.trusted, variable{name, bundle})
	}
	java, err := b.trustJava(image, all)
	b.trusted = append(b.trusted, java...)
	return b.trusted, err
}

// trustJava makes a truststore where the image has a Java, which reads no PEM. Java
// prints a line about JAVA_TOOL_OPTIONS whenever it starts.
func (b *builder) trustJava(image *environ, all []byte) ([]variable, error) {
	const key, option = "JAVA_TOOL_OPTIONS", "-Djavax.net.ssl.trustStore"
	own := image.get(key)
	if !hasJava(image) || strings.Contains(own, option+"=") {
		return nil, nil
	}
	store, err := cacert.TrustStore(all)
	if err != nil {
		return nil, fmt.Errorf("make a truststore for Java: %w", err)
	}
	file := filepath.Join(b.trustDir, "truststore.p12")
	if err := errors.Join(os.WriteFile(file, store, 0o644), os.Chmod(file, 0o644)); err != nil {
		return nil, fmt.Errorf("write a truststore for Java: %w", err)
	}
	options := []string{own, option + "=" + file, option + "Type=PKCS12", option + "Password=" + cacert.TrustStorePassword}
	return []variable{{key, strings.TrimSpace(strings.Join(options, " "))}}, nil
}

func hasJava(image *environ) bool {
	for _, pattern := range []string{"/usr/lib/jvm/*/bin/java", "/opt/java/*/bin/java", "/opt/jdk*/bin/java", "/usr/java/*/bin/java"} {
		if found, err := filepath.Glob(pattern); err == nil && len(found) > 0 {
			return true
		}
	}
	dirs := append(filepath.SplitList(image.get("PATH")), filepath.Join(image.get("JAVA_HOME"), "bin"))
	for _, dir := range dirs {
		if info, err := os.Stat(filepath.Join(dir, "java")); err == nil && info.Mode().IsRegular() && filepath.IsAbs(dir) {
			return true
		}
	}
	return false
}

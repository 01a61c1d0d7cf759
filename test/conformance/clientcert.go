package conformance

import (
	"errors"
	"strings"

	"github.com/runnerd/runnerd/internal/standin"
)

var clientCertificates = []Row{
	{
		Name: "tls-cert-file", Spec: "8.3", Site: "client certificate",
		Behaviour: "CI_SERVER_TLS_CERT_FILE is a file with the runner's client certificate.",
		Job:       script(`echo "${CI_SERVER_TLS_CERT_FILE#"$CI_PROJECT_DIR"}"`, `cat "$CI_SERVER_TLS_CERT_FILE"`),
		Want: Want{Lines: []string{".tmp/CI_SERVER_TLS_CERT_FILE"}, Check: func(w *World, j *standin.Job) error {
			cert, _ := w.Server.ClientCertificate()
			if text := strings.Join(Lines(j.Text()), "\n"); !strings.Contains(text, string(cert)) {
				return errors.New("the log does not hold the certificate")
			}
			return nil
		}},
	},
	{
		Name: "tls-key-file", Spec: "8.3", Site: "client certificate",
		Behaviour: "CI_SERVER_TLS_KEY_FILE is a file with its key, which the log does not show.",
		Job:       script(`grep -c 'PRIVATE KEY' "$CI_SERVER_TLS_KEY_FILE"`, `cat "$CI_SERVER_TLS_KEY_FILE"`, "echo behind it"),
		Want:      prints("2", "[MASKED]", "behind it"),
	},
	{
		Name: "tls-client-files-not-needed", Spec: "8.3",
		Behaviour: "Without a certificate there are no such variables.",
		Job:       script(say("CI_SERVER_TLS_CERT_FILE", "CI_SERVER_TLS_KEY_FILE")),
		Want:      prints("[]", "[]"),
	},
	{
		Name: "tls-client-git", Spec: "10.6", Site: "client certificate", Repo: "parent",
		Behaviour: "git shows it to a GitLab that asks, for submodules too.",
		Job:       with(vars("GIT_SUBMODULE_STRATEGY", "recursive"), "cat README.md a/lib.txt a/in/inner.txt"),
		Want:      prints("parent", "lib", "inner"),
	},
	{
		Name: "tls-client-lfs", Spec: "10.6", Site: "client certificate", Repo: "lfs",
		Behaviour: "So does Git LFS.",
		Job:       script("cat deep/er.bin"),
		Want:      prints("deeper"),
	},
	{
		Name: "tls-client-artifacts", Spec: "6.1", Site: "client certificate",
		Behaviour: "So do the transfers of artifacts, both ways.",
		Archive:   map[string]string{"earlier": "from the earlier job\n"},
		Job:       leaving(archive("out"), "cat earlier", "echo x > out"),
		Want:      Want{Lines: []string{"from the earlier job"}, Uploads: []Upload{{Entries: []string{"out"}}}},
	},
}

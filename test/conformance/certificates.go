package conformance

import (
	"fmt"
	"strings"

	"github.com/runnerd/runnerd/internal/standin"
)

var certificates = []Row{
	{
		Name: "tls-ca-file", Spec: "8.3", Site: "private CA",
		Behaviour: "CI_SERVER_TLS_CA_FILE is a file with the authority of GitLab's certificate, where the system does not know it.",
		Job:       script(`echo "${CI_SERVER_TLS_CA_FILE#"$CI_PROJECT_DIR"}"`, `cat "$CI_SERVER_TLS_CA_FILE"`),
		Want: Want{Lines: []string{".tmp/CI_SERVER_TLS_CA_FILE"}, Check: func(w *World, j *standin.Job) error {
			if text := strings.Join(Lines(j.Text()), "\n"); !strings.Contains(text, string(w.Server.CACertificate())) {
				return fmt.Errorf("the log does not hold the authority's certificate:\n%s", w.Server.CACertificate())
			}
			return nil
		}},
	},
	{
		Name: "tls-ca-file-not-needed", Spec: "8.3",
		Behaviour: "Without TLS there is no such variable.",
		Job:       script("echo [$CI_SERVER_TLS_CA_FILE]"),
		Want:      prints("[]"),
	},
	{
		Name: "tls-git", Spec: "10.6", Site: "private CA",
		Behaviour: "git trusts that authority: for the sources, and in the script.",
		Job:       script("cat README.md", `git fetch -q "$CI_REPOSITORY_URL" feature && git show FETCH_HEAD:feature.txt`),
		Want:      prints("hello", "new"),
	},
	{
		Name: "tls-artifacts", Spec: "6.1", Site: "private CA",
		Behaviour: "So do the transfers of artifacts, both ways.",
		Archive:   map[string]string{"out/a": "from the earlier job\n"},
		Job:       standin.JobSpec{Artifacts: []standin.Artifact{archive("out")}, Script: []string{"cat out/a"}},
		Want:      Want{Lines: []string{"from the earlier job"}, Uploads: []Upload{{Entries: []string{"out/a"}}}},
	},
}

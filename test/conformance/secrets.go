package conformance

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/runnerd/runnerd/internal/standin"
	"github.com/runnerd/runnerd/internal/vaulttest"
)

// The values of the Vault's secrets: none of them may be in a log.
const (
	secretPassword = "correct-horse"
	secretUser     = "staple-battery"
	secretLiteral  = "dollar-$CI_JOB_STAGE-sign"
	secretKey      = "rubber-duck-key"
)

// vaultAudience is what the ID tokens for the Vault say that they are for.
const vaultAudience = "https://vault.test"

// fillVault writes what the rows' secrets name, and a role for the jobs that
// may read it.
func (w *World) fillVault() {
	w.Vault.Namespace = "team"
	w.Vault.Put("team/kv2/prod/db", map[string]any{"password": secretPassword, "user": secretUser, "literal": secretLiteral})
	w.Vault.Put("kv1/prod/key", map[string]any{"key": secretKey})
	w.Vault.AddRole("ci", vaulttest.Role{
		Audience: vaultAudience, Claims: map[string]string{"project_path": "conformance/hello"}, Paths: []string{"team/kv2/data/prod/*", "kv1/prod/*"},
	})
}

// forVault gives a job what its secrets refer to: the server's address, a role
// and an ID token. The job's own variables come behind these, and win.
func forVault(w *World, job *standin.JobSpec) {
	token := w.Vault.Sign(map[string]any{"aud": vaultAudience, "project_path": "conformance/hello", "exp": time.Now().Add(time.Hour).Unix()})
	given := append(vars("VAULT_SERVER_URL", w.Vault.URL(), "VAULT_AUTH_ROLE", "ci"), standin.Variable{Key: "VAULT_ID_TOKEN", Value: token, Masked: true})
	job.Variables = append(given, job.Variables...)
}

// inVault is a secret as GitLab sends it: a file, unless value makes it none.
func inVault(engine, mount, path, field string) map[string]any {
	return map[string]any{"vault": map[string]any{
		"server": map[string]any{"url": "$VAULT_SERVER_URL", "namespace": "team", "auth": map[string]any{
			"name": "jwt", "path": "jwt/gitlab", "data": map[string]any{"jwt": "$VAULT_ID_TOKEN", "role": "$VAULT_AUTH_ROLE"},
		}},
		"engine": map[string]any{"name": engine, "path": mount}, "path": path, "field": field,
	}}
}

// db is a field of the secret that most rows read.
func db(field string) map[string]any { return inVault("kv-v2", "team/kv2", "prod/db", field) }

// value makes a secret a variable with the value itself.
func value(secret map[string]any) map[string]any {
	secret["file"] = false
	return secret
}

// needs is a job with one secret, PASS.
func needs(secret map[string]any, variables []standin.Variable, commands ...string) standin.JobSpec {
	return standin.JobSpec{Secrets: map[string]any{"PASS": secret}, Variables: variables, Script: commands}
}

var secrets = []Row{
	{
		Name: "secret", Spec: "3.14", Site: "vault", Make: forVault,
		Behaviour: "With file: false a secret's value is the variable.",
		Job:       needs(value(db("password")), nil, "echo ${PASS%%-*} ${#PASS}"),
		Want:      prints("correct 13"),
	},
	{
		Name: "secret-file", Spec: "3.14", Site: "vault", Make: forVault,
		Behaviour: "By default a secret is a file variable: the value lies in a file, with nothing added to it.",
		Job:       needs(db("password"), nil, `echo "${PASS#"$CI_PROJECT_DIR"}"`, `wc -c < "$PASS"`, `cut -d - -f 1 "$PASS"`),
		Want:      prints(".tmp/PASS", "13", "correct"),
	},
	{
		Name: "secret-masked", Spec: "3.14", Site: "vault", Make: forVault,
		Behaviour: "A secret is masked wherever it is printed, be it a variable or a file, in after_script too.",
		Job: standin.JobSpec{
			Secrets: map[string]any{"PASS": value(db("password")), "LOGIN": db("user")},
			Script:  []string{`echo "variable <$PASS>"`, `echo "file <$(cat "$LOGIN")>"`}, AfterScript: []string{`echo "after <$PASS>"`},
		},
		Want: Want{Lines: []string{"variable <[MASKED]>", "file <[MASKED]>", "after <[MASKED]>"}, Lacks: []string{secretPassword, secretUser}},
	},
	{
		Name: "secret-raw", Spec: "3.14", Site: "vault", Make: forVault,
		Behaviour: "What a secret's value says of variables is not expanded.",
		Job:       needs(value(db("literal")), nil, "echo ${#PASS}"),
		Want:      Want{Lines: []string{"25"}, Lacks: []string{secretLiteral}},
	},
	{
		Name: "secret-over-variable", Spec: "8.1", Site: "vault", Make: forVault,
		Behaviour: "A secret beats the job's variable of its name, also where another variable refers to it.",
		Job:       needs(value(db("password")), vars("PASS", "plain", "DSN", "db:$PASS"), "echo ${PASS%%-*} ${DSN%%-*}"),
		Want:      prints("correct db:correct"),
	},
	{
		Name: "secret-kv-v2", Spec: "3.14", Site: "vault", Make: forVault,
		Behaviour: "A secret of the engine kv-v2 is read.",
		Job:       needs(value(inVault("kv-v2", "team/kv2", "prod/db", "user")), nil, "echo ${PASS%%-*}"),
		Want:      prints("staple"),
	},
	{
		Name: "secret-expanded", Spec: "3.14", Site: "vault", Make: forVault,
		Behaviour: "Variables in a secret's engine, path and field are expanded.",
		Job: needs(value(inVault("kv-$VERSION", "$TEAM/kv2", "${STAGE}/db", "$FIELD")), vars("VERSION", "v2", "TEAM", "team", "STAGE", "prod", "FIELD", "user"),
			"echo ${PASS%%-*}"),
		Want: prints("staple"),
	},
	{
		Name: "secret-kv-v1", Spec: "3.14", Site: "vault", Make: forVault,
		Behaviour: "A secret of the engine kv-v1 is read.",
		Job:       needs(value(inVault("kv-v1", "kv1", "prod/key", "key")), nil, "echo ${PASS%%-*}"),
		Want:      prints("rubber"),
	},
	{
		Name: "secret-log", Spec: "10.1", Site: "vault", Make: forVault,
		Behaviour: "The log tells in a section of its own which secrets are fetched.",
		Job:       needs(db("password"), nil),
		Want: Want{Lines: []string{"the script ran"}, Check: func(_ *World, j *standin.Job) error {
			section, err := Section(j.Text(), "resolve_secrets")
			for _, line := range []string{`Resolving secret "PASS"...`, `Using "vault" secret resolver...`} {
				if err == nil && !slices.Contains(Lines(section), line) {
					err = fmt.Errorf("the section has no line %q:\n%s", line, section)
				}
			}
			return err
		}},
	},
	{
		Name: "secret-not-in-the-pod-spec", Spec: "8.4", Site: "vault", Make: forVault, On: ClusterOnly,
		Behaviour: "A secret is nowhere in the pod's spec.",
		Job:       needs(value(db("password")), nil),
		Want: Want{Lines: []string{"the script ran"}, Check: func(w *World, j *standin.Job) error {
			pod, err := w.Pod(j)
			if err == nil && strings.Contains(pod.JSON, secretPassword) {
				err = errors.New("the pod's spec holds the secret")
			}
			return err
		}},
	},
	{
		Name: "secret-wrong-role", Spec: "3.14", Site: "vault", Make: forVault,
		Behaviour: "A role that the Vault does not know fails the job before its script, with the Vault's words.",
		Job:       needs(db("password"), vars("VAULT_AUTH_ROLE", "nobody")),
		Want:      refused("runner_configuration_error", `role "nobody" could not be found`, "VAULT_AUTH_ROLE"),
	},
	{
		Name: "secret-without-id-token", Spec: "3.14", Site: "vault", Make: forVault,
		Behaviour: "A job without the ID token that its secret refers to fails before its script.",
		Job:       needs(db("password"), vars("VAULT_ID_TOKEN", "")),
		Want:      refused("runner_configuration_error", `secret "PASS"`, "malformed jwt", "ID token"),
	},
	{
		Name: "secret-field-missing", Spec: "3.14", Site: "vault", Make: forVault,
		Behaviour: "A field that is not there fails the job before its script, and is named.",
		Job:       needs(db("nothing"), nil),
		Want:      refused("runner_configuration_error", `secret "PASS" (field "nothing" of `, "there is no such secret or field"),
	},
	{
		Name: "secret-may-be-missing", Spec: "3.14", Site: "vault", Make: forVault,
		Behaviour: "With FF_SECRET_RESOLVING_FAILS_IF_MISSING=false it is empty, with a warning.",
		Job:       needs(value(db("nothing")), vars("FF_SECRET_RESOLVING_FAILS_IF_MISSING", "false"), `echo "[$PASS]"`),
		Want:      Want{Says: []string{"there is no such secret or field"}, Lines: []string{"[]"}},
	},
}

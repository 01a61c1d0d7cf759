package conformance

import (
	"fmt"
	"strings"

	"github.com/runnerd/runnerd/internal/standin"
)

// oneMegabyte is longer than what Linux takes as one string of an environment.
var oneMegabyte = strings.Repeat("0123456789abcdef", 1<<16)

func secret(key, value string) standin.Variable {
	return standin.Variable{Key: key, Value: value, Masked: true, Raw: true}
}

func file(key, value string) standin.Variable {
	return standin.Variable{Key: key, Value: value, File: true, Public: true}
}

func raw(key, value string) standin.Variable {
	return standin.Variable{Key: key, Value: value, Raw: true, Public: true}
}

// say prints a variable's value in brackets, whatever is in it.
func say(keys ...string) string {
	var b strings.Builder
	for _, key := range keys {
		fmt.Fprintf(&b, `printf '[%%s]\n' "$%s"; `, key)
	}
	return strings.TrimSuffix(b.String(), "; ")
}

var variables = []Row{
	{
		Name: "variable", Spec: "8.4",
		Behaviour: "A job's variables are in the environment of its script.",
		Job:       with(vars("GREETING", "hi there"), say("GREETING"), "printenv GREETING"),
		Want:      prints("[hi there]", "hi there"),
	},
	{
		Name: "variable-not-public", Spec: "8.4",
		Behaviour: "Variables that are not public reach the script as well.",
		Job:       with([]standin.Variable{{Key: "QUIET", Value: "there"}}, say("QUIET")),
		Want:      prints("[there]"),
	},
	{
		Name: "variable-last-wins", Spec: "3.5",
		Behaviour: "Of several variables of one name the last wins.",
		Job:       with(vars("TWICE", "first", "TWICE", "second"), say("TWICE")),
		Want:      prints("[second]"),
	},
	{
		Name: "variable-empty", Spec: "3.5",
		Behaviour: "An empty variable is set, and empty.",
		Job:       with(vars("EMPTY", ""), `echo "${EMPTY+set} [${EMPTY}]"`),
		Want:      prints("set []"),
	},
	{
		Name: "variable-values", Spec: "3.5",
		Behaviour: "Line feeds, quotes, backslashes, Unicode and blanks at the ends arrive as they are.",
		Job:       with(vars("LINES", "one\ntwo\n", "QUOTES", `a'b"c`+"`d`"+`\e`, "UNICODE", "日本 🚀", "BLANKS", "  x  ", "DASH", "-n"), say("LINES", "QUOTES", "UNICODE", "BLANKS", "DASH")),
		Want:      prints("[one", "two", "]", `[a'b"c`+"`d`"+`\e]`, "[日本 🚀]", "[  x  ]", "[-n]"),
	},
	{
		Name: "variable-one-megabyte", Spec: "3.5",
		Behaviour: "A variable of 1 MB, which no process can inherit, is there in the script's shell.",
		Job:       with(vars("BIG", oneMegabyte), "echo ${#BIG}", "true | cat | wc -c"),
		Want:      prints("1048576", "0"),
	},
	{
		Name: "variable-many", Spec: "3.5",
		Behaviour: "A thousand variables are all there.",
		Job:       script("env | grep -c '^MANY_'", say("MANY_999")),
		Make: func(_ *World, job *standin.JobSpec) {
			for i := range 1000 {
				job.Variables = append(job.Variables, vars(fmt.Sprintf("MANY_%d", i), fmt.Sprintf("value %d", i))...)
			}
		},
		Want: prints("1000", "[value 999]"),
	},
	{
		Name: "variable-odd-name", Spec: "3.5",
		Behaviour: "A variable whose name no shell takes does no harm to the others.",
		Job:       with(vars("odd.name-x", "odd", "1ST", "first", "LAST", "last"), say("LAST")),
		Want:      prints("[last]"),
	},
	{
		Name: "variable-from-config", Spec: "8.1", Site: "operator",
		Behaviour: "The operator's environment entries are variables of every job.",
		Job:       script(say("FROM_CONFIG")),
		Want:      prints("[config]"),
	},
	{
		Name: "variable-over-config", Spec: "8.1", Site: "operator",
		Behaviour: "A job's variable beats the operator's environment.",
		Job:       with(vars("OVERRIDDEN", "job"), say("OVERRIDDEN")),
		Want:      prints("[job]"),
	},
	{
		Name: "variable-from-config-expands", Spec: "8.2", Site: "operator",
		Behaviour: "A job's variable may refer to one of the operator's.",
		Job:       with(vars("MINE", "$CI_BUILD_FLAVOUR ${FROM_CONFIG}"), say("MINE")),
		Want:      prints("[plain config]"),
	},
	{
		Name: "expand", Spec: "8.2",
		Behaviour: "$NAME and ${NAME} in a value are replaced.",
		Job:       with(vars("A", "1", "B", "$A-${A}x"), say("B")),
		Want:      prints("[1-1x]"),
	},
	{
		Name: "expand-order", Spec: "8.2",
		Behaviour: "A value may refer to a variable that comes later.",
		Job:       with(vars("B", "<$A>", "A", "1"), say("B")),
		Want:      prints("[<1>]"),
	},
	{
		Name: "expand-one-level", Spec: "8.2",
		Behaviour: "Expansion is one level deep: what a value refers to is taken unexpanded.",
		Job:       with(vars("A", "$B", "B", "$C", "C", "c"), say("A", "B")),
		Want:      prints("[$C]", "[c]"),
	},
	{
		Name: "expand-itself", Spec: "8.2",
		Behaviour: "A value that refers to itself comes to an end.",
		Job:       with(vars("LOOP", "x$LOOP"), say("LOOP")),
		Want:      prints("[xx$LOOP]"),
	},
	{
		Name: "expand-last", Spec: "8.2",
		Behaviour: "A reference means the last variable of that name.",
		Job:       with(vars("A", "first", "B", "$A", "A", "last"), say("B")),
		Want:      prints("[last]"),
	},
	{
		Name: "expand-unknown", Spec: "8.2",
		Behaviour: "A reference to nothing yields nothing.",
		Job:       with(vars("A", "<$NO_SUCH_THING>"), say("A")),
		Want:      prints("[<>]"),
	},
	{
		Name: "expand-dollars", Spec: "8.2",
		Behaviour: "$$ is a dollar sign, and a $ before no name stays.",
		Job:       with(vars("A", "1", "PRICE", "$$A", "END", "50 $", "BLANK", "$ x", "PERCENT", "$%"), say("PRICE", "END", "BLANK", "PERCENT")),
		Want:      prints("[$A]", "[50 $]", "[$ x]", "[$%]"),
	},
	{
		Name: "expand-special-parameters", Spec: "8.2",
		Behaviour: "The shell's special parameters and $ with a digit yield nothing.",
		Job:       with(vars("A", "<$*$#$@$!$?$->", "B", "$12"), say("A", "B")),
		Want:      prints("[<>]", "[2]"),
	},
	{
		Name: "expand-malformed", Spec: "8.2",
		Behaviour: "${} and a brace that does not close are dropped.",
		Job:       with(vars("A", "<${}>", "B", "x${OPEN"), say("A", "B")),
		Want:      prints("[<>]", "[xOPEN]"),
	},
	{
		Name: "expand-shell-form", Spec: "8.2",
		Behaviour: "Shell forms such as ${A:-b} are not understood and yield nothing.",
		Job:       with(vars("A", "1", "B", "<${A:-b}>"), say("B")),
		Want:      prints("[<>]"),
	},
	{
		Name: "expand-raw", Spec: "3.5",
		Behaviour: "A raw value is not expanded.",
		Job:       with([]standin.Variable{raw("RAW", "$HOME ${A} $$")}, say("RAW")),
		Want:      prints("[$HOME ${A} $$]"),
	},
	{
		Name: "expand-script-is-the-shells", Spec: "8.2",
		Behaviour: "The script's own text is not expanded by the runner.",
		Job:       with(vars("A", "variable"), "A=shell", `echo "$A $$" | sed 's/[0-9][0-9]*$/pid/'`),
		Want:      prints("shell pid"),
	},
	{
		Name: "file-variable", Spec: "8.3",
		Behaviour: "A file variable is the path of a file, named like it, in the project's temporary directory.",
		Job:       with([]standin.Variable{file("CONF", "content\n")}, `test "$CONF" = "$CI_PROJECT_DIR.tmp/CONF" && cat "$CONF"`),
		Want:      prints("content"),
	},
	{
		Name: "file-variable-bytes", Spec: "8.3",
		Behaviour: "The file has the value byte for byte, with no line feed added.",
		Job:       with([]standin.Variable{file("CONF", "no line feed"), file("KEYS", "a\n\n\tb\r\n")}, `wc -c < "$CONF"; od -An -c "$KEYS" | tr -s ' '`),
		Want:      prints("12", ` a \n \n \t b \r \n`),
	},
	{
		Name: "file-variable-of-one-megabyte", Spec: "8.3",
		Behaviour: "A file variable may have 1 MB.",
		Job:       with([]standin.Variable{file("BIG", oneMegabyte)}, `wc -c < "$BIG"`),
		Want:      prints("1048576"),
	},
	{
		Name: "file-variable-reference", Spec: "8.2",
		Behaviour: "A reference to a file variable yields its path.",
		Job:       with(append(vars("PATH_OF_CONF", "at $CONF"), file("CONF", "x")), `test "$PATH_OF_CONF" = "at $CONF" && echo the path`),
		Want:      prints("the path"),
	},
	{
		Name: "file-variable-expands", Spec: "8.2",
		Behaviour: "A file's content is expanded like any value, unless it is raw.",
		Job:       with(append(vars("USER_NAME", "dev"), file("CONF", "user=$USER_NAME\n"), standin.Variable{Key: "RAWCONF", Value: "$USER_NAME\n", File: true, Raw: true}), `cat "$CONF" "$RAWCONF"`),
		Want:      prints("user=dev", "$USER_NAME"),
	},
	{
		Name: "file-variable-in-after-script", Spec: "8.3",
		Behaviour: "Files are written anew for after_script, whatever the script did to them.",
		Job:       standin.JobSpec{Variables: []standin.Variable{file("CONF", "content\n")}, Script: []string{`echo changed > "$CONF"; rm "$CONF"`}, AfterScript: []string{`cat "$CONF"`}},
		Want:      prints("content"),
	},
	{
		Name: "file-variable-of-a-user", Spec: "8.3", On: ClusterOnly,
		Behaviour: "The user of an image can read the files.",
		Job:       standin.JobSpec{Image: standin.Image{Name: "nonroot"}, Variables: []standin.Variable{file("CONF", "content\n")}, Script: []string{`cat "$CONF"`}},
		Want:      prints("content"),
	},
	{
		Name: "mask", Spec: "10.9",
		Behaviour: "The value of a masked variable is replaced in the log.",
		Job:       with([]standin.Variable{secret("PASSWORD", "horse-battery")}, say("PASSWORD"), `echo "a $PASSWORD b $PASSWORD"`),
		Want:      prints("[[MASKED]]", "a [MASKED] b [MASKED]"),
	},
	{
		Name: "mask-in-the-command", Spec: "10.9",
		Behaviour: "A masked value is replaced in the commands that the log shows as well.",
		Job:       with([]standin.Variable{secret("PASSWORD", "horse-battery")}, "echo horse-battery | wc -c"),
		Want:      prints("$ echo [MASKED] | wc -c", "14"),
	},
	{
		Name: "mask-in-two-writes", Spec: "10.9",
		Behaviour: "A masked value is found across writes.",
		Job:       with([]standin.Variable{secret("PASSWORD", "horse-battery")}, "printf 'x horse-ba'; sleep 0.3; printf 'ttery y\\n'"),
		Want:      prints("x [MASKED] y"),
	},
	{
		Name: "mask-after-expansion", Spec: "10.9",
		Behaviour: "What is masked is the value after its expansion.",
		Job:       with(append(vars("BASE", "horse"), standin.Variable{Key: "PASSWORD", Value: "$BASE-battery", Masked: true}), say("PASSWORD")),
		Want:      Want{Lines: []string{"[[MASKED]]"}, Lacks: []string{"horse-battery"}},
	},
	{
		Name: "mask-trimmed", Spec: "10.9",
		Behaviour: "White space around a masked value does not hide it.",
		Job:       with([]standin.Variable{secret("PASSWORD", "  horse-battery\n")}, "echo 'x horse'-battery"),
		Want:      Want{Lines: []string{"x [MASKED]"}},
	},
	{
		Name: "mask-longest-first", Spec: "10.9",
		Behaviour: "Of two masked values that begin alike the longer one is replaced as a whole.",
		Job:       with([]standin.Variable{secret("SHORT", "horse-bat"), secret("LONG", "horse-battery")}, say("LONG", "SHORT")),
		Want:      Want{Lines: []string{"[[MASKED]]", "[[MASKED]]"}},
	},
	{
		Name: "mask-lines", Spec: "10.9",
		Behaviour: "A masked value of several lines is replaced when it is printed as a whole.",
		Job:       with([]standin.Variable{secret("KEY", "first-line\nsecond-line")}, say("KEY")),
		Want:      Want{Lines: []string{"[[MASKED]]"}, Lacks: []string{"second-line"}},
	},
	{
		Name: "mask-job-token", Spec: "10.9",
		Behaviour: "The job token is masked.",
		Job:       script(say("CI_JOB_TOKEN"), `echo "$CI_REPOSITORY_URL" | cut -d / -f 3 | cut -d @ -f 1`),
		Want:      prints("[[MASKED]]", "gitlab-ci-token:[MASKED]"),
	},
	{
		Name: "mask-token-prefixes", Spec: "10.9",
		Behaviour: "What follows the prefix of one of GitLab's tokens is masked, the prefix stays.",
		Job:       script("echo glpat-abc.DEF_123 glrt-xyz, end", "echo gldt-abc"),
		Want:      prints("glpat-[MASKED] glrt-[MASKED], end", "gldt-[MASKED]"),
	},
	{
		Name: "mask-token-prefixes-of-the-server", Spec: "3.13",
		Behaviour: "GitLab can name further prefixes.",
		Job:       standin.JobSpec{Features: &standin.Features{TraceSections: true, TokenMaskPrefixes: []string{"acme-"}}, Script: []string{"echo acme-s3cr3t"}},
		Want:      prints("acme-[MASKED]"),
	},
	{
		Name: "mask-token-prefixes-off", Spec: "9.6",
		Behaviour: "FF_MASK_ALL_DEFAULT_TOKENS=false leaves glpat- alone of the prefixes.",
		Job:       with(vars("FF_MASK_ALL_DEFAULT_TOKENS", "false"), "echo glpat-abc gldt-abc"),
		Want:      prints("glpat-[MASKED] gldt-abc"),
	},
	{
		Name: "mask-url-parameters", Spec: "10.9",
		Behaviour: "Secrets in the parameters of a URL are masked.",
		Job: script("echo 'https://x.example/a?private_token=abc&b=c'", "echo 'https://x.example/a?b=c&X-Amz-Signature=abc&rss_token=d'",
			"echo 'https://x.example/a?authenticity_token=abc end'"),
		Want: prints("https://x.example/a?private_token=[MASKED]&b=c", "https://x.example/a?b=c&X-Amz-Signature=[MASKED]&rss_token=[MASKED]", "https://x.example/a?authenticity_token=[MASKED] end"),
	},
	{
		Name: "file-variables-in-memory", Spec: "8.3", On: ClusterOnly,
		Behaviour: "File variables lie in memory, readable by the build image's user alone.",
		Job: standin.JobSpec{
			Variables: []standin.Variable{{Key: "KEY_FILE", Value: "text", File: true}},
			Script:    []string{`stat -L -c 'mode %a' "$KEY_FILE"`, `stat -f -L -c 'on %T' "$KEY_FILE"`},
		},
		Want: prints("mode 600", "on tmpfs"),
	},
	{
		Name: "mask-at-run-time", Spec: "10.9",
		Behaviour: "A script masks what it learns while it runs by printing ::add-mask::.",
		Job:       script(`printf '::add-mask::%s%s\n' horse -battery`, `printf 'x %s%s y\n' horse -battery`),
		Want:      Want{Lines: []string{"x [MASKED] y"}},
	},
	{
		Name: "env-file", Spec: "8.5",
		Behaviour: "Lines that a script appends to the file GITLAB_ENV are variables of after_script.",
		Job:       standin.JobSpec{Script: []string{`echo "LEARNED=a b=c" >> "$GITLAB_ENV"`}, AfterScript: []string{say("LEARNED")}},
		Want:      prints("[a b=c]"),
	},
	{
		Name: "env-file-overrides", Spec: "8.1",
		Behaviour: "Lines of GITLAB_ENV beat the job's variables.",
		Job:       standin.JobSpec{Variables: vars("A", "job"), Script: []string{`echo "A=script" >> "$GITLAB_ENV"`, say("A")}, AfterScript: []string{say("A")}},
		Want:      prints("[job]", "[script]"),
	},
	{
		Name: "override-ci-server", Spec: "8.1",
		Behaviour: "A job's variable can override what the runner adds before it, such as CI_SERVER.",
		Job:       with(vars("CI_SERVER", "mine"), say("CI_SERVER")),
		Want:      prints("[mine]"),
	},
	{
		Name: "override-not-version", Spec: "8.1",
		Behaviour: "A job's variable cannot override CI_RUNNER_VERSION.",
		Job:       with(vars("CI_RUNNER_VERSION", "mine", "RUNNER_TEMP_PROJECT_DIR", "mine"), `test "$CI_RUNNER_VERSION" != mine && test "$RUNNER_TEMP_PROJECT_DIR" != mine && echo the runner\'s`),
		Want:      prints("the runner's"),
	},
	{
		Name: "flag-resolved", Spec: "8.1",
		Behaviour: "A feature flag is a variable with its resolved value.",
		Job:       with(vars("FF_USE_FASTZIP", "0", "FF_SCRIPT_SECTIONS", "T"), say("FF_USE_FASTZIP", "FF_SCRIPT_SECTIONS", "FF_TIMESTAMPS")),
		Want:      prints("[false]", "[true]", "[true]"),
	},
	{
		Name: "flag-invalid", Spec: "8.1",
		Behaviour: "A feature flag with no boolean is told in the log and keeps its default.",
		Job:       with(vars("FF_USE_FASTZIP", "perhaps"), say("FF_USE_FASTZIP")),
		Want:      Want{Says: []string{`FF_USE_FASTZIP="perhaps" is not valid`}, Lines: []string{"[true]"}},
	},
	{
		Name: "flag-of-the-operator", Spec: "8.1", Site: "operator",
		Behaviour: "The operator's feature flags beat the job's.",
		Job:       with(vars("FF_HASH_CACHE_KEYS", "false"), say("FF_HASH_CACHE_KEYS")),
		Want:      prints("[true]"),
	},
	{
		Name: "flag-unknown", Spec: "9.6",
		Behaviour: "An unknown name that begins with FF_ is an ordinary variable.",
		Job:       with(vars("FF_MINE", "perhaps"), say("FF_MINE")),
		Want:      prints("[perhaps]"),
	},
	{
		Name: "boolean-invalid", Spec: "8.6",
		Behaviour: "A setting with no boolean is told in the log and keeps its default.",
		Job:       with(vars("GIT_CHECKOUT", "maybe"), "cat README.md"),
		Want:      Want{Says: []string{`GIT_CHECKOUT="maybe" is not valid`}, Lines: []string{"hello"}},
	},
	{
		Name: "pod-spec-public", Spec: "8.4", On: ClusterOnly,
		Behaviour: "Public variables, and those of the runner, are in the pod's spec, for programs that no script starts.",
		Job:       with(vars("SHOWN", "for all"), "true"),
		Want: Want{Check: func(w *World, j *standin.Job) error {
			pod, err := w.Pod(j)
			if err == nil && (pod.Environment["SHOWN"] != "for all" || pod.Environment["CI_SERVER"] != "yes") {
				err = fmt.Errorf("the build container's environment is %q", pod.Environment)
			}
			return err
		}},
	},
	{
		Name: "pod-spec-not-public", Spec: "8.4", On: ClusterOnly,
		Behaviour: "Variables that are not public are nowhere in the pod's spec, nor is the job token.",
		Job:       with([]standin.Variable{{Key: "HIDDEN", Value: "only-for-scripts"}, secret("PASSWORD", "horse-battery")}, say("HIDDEN")),
		Want: Want{Lines: []string{"[only-for-scripts]"}, Check: func(w *World, j *standin.Job) error {
			pod, err := w.Pod(j)
			for _, hidden := range []string{"only-for-scripts", "horse-battery", j.Token()} {
				if err == nil && strings.Contains(pod.JSON, hidden) {
					err = fmt.Errorf("the pod's spec holds a value of %d bytes that is not public", len(hidden))
				}
			}
			return err
		}},
	},
}

// added is a row of a variable that the runner adds; the test command prints
// "yes" when its value is right.
func added(name, spec, behaviour, test string) Row {
	return Row{Name: name, Spec: spec, Behaviour: behaviour, Job: script(test + " && echo yes"), Want: prints("yes")}
}

var predefined = []Row{
	added("ci-builds-dir", "8.4", "CI_BUILDS_DIR is the root of all projects.", `case $CI_PROJECT_DIR in "$CI_BUILDS_DIR"/*) true;; *) false;; esac`),
	added("ci-project-dir", "8.4", "CI_PROJECT_DIR is the project directory, where scripts begin.", `test "$CI_PROJECT_DIR" = "$PWD"`),
	added("ci-concurrent-id", "8.4", "CI_CONCURRENT_ID is a number that no other running job of the runner has.", `test "$CI_CONCURRENT_ID" -ge 0 && test "$CI_CONCURRENT_ID" -lt 8`),
	added("ci-concurrent-project-id", "8.4", "CI_CONCURRENT_PROJECT_ID is such a number among the project's jobs.", `test "$CI_CONCURRENT_PROJECT_ID" -ge 0 && test "$CI_CONCURRENT_PROJECT_ID" -lt 8`),
	added("ci-server", "8.4", "CI_SERVER is yes.", `test "$CI_SERVER" = yes`),
	added("ci-job-status", "8.4", "CI_JOB_STATUS is running while the script runs.", `test "$CI_JOB_STATUS" = running`),
	added("ci-job-timeout", "8.4", "CI_JOB_TIMEOUT is the job's timeout in seconds.", `test "$CI_JOB_TIMEOUT" = 3600`),
	added("ci-job-image", "8.4", "CI_JOB_IMAGE is the job's image.", `case $CI_JOB_IMAGE in */test/debian:1) true;; *) false;; esac`),
	added("ci-runner-short-token", "8.4", "CI_RUNNER_SHORT_TOKEN is what may be shown of the runner's token.", `test -n "$CI_RUNNER_SHORT_TOKEN" && test ${#CI_RUNNER_SHORT_TOKEN} -le 9`),
	added("ci-runner-version", "8.4", "CI_RUNNER_VERSION is the runner's version.", `test -n "$CI_RUNNER_VERSION"`),
	added("ci-runner-revision", "8.4", "CI_RUNNER_REVISION is the runner's revision.", `test -n "$CI_RUNNER_REVISION"`),
	added("ci-runner-executable-arch", "8.4", "CI_RUNNER_EXECUTABLE_ARCH is system and architecture.", `test "${CI_RUNNER_EXECUTABLE_ARCH%%/*}" = linux`),
	added("runner-temp-project-dir", "8.4", "RUNNER_TEMP_PROJECT_DIR is a directory beside the project.", `test "$RUNNER_TEMP_PROJECT_DIR" = "$CI_PROJECT_DIR.tmp" && test -d "$RUNNER_TEMP_PROJECT_DIR"`),
	added("gitlab-env", "8.5", "GITLAB_ENV is the path of a file that can be written.", `test "$GITLAB_ENV" = "$CI_PROJECT_DIR.tmp/gitlab_runner_env" && : >> "$GITLAB_ENV"`),
	added("ci-of-the-server", "8.4", "GitLab's own variables arrive as it sends them.", `test "$CI $GITLAB_CI $CI_JOB_STAGE $CI_SERVER_NAME $CI_PROJECT_PATH $CI_COMMIT_REF_NAME" = "true true test GitLab conformance/hello main"`),
	{
		Name: "ci-disposable-environment", Spec: "8.1", On: ClusterOnly,
		Behaviour: "CI_DISPOSABLE_ENVIRONMENT is true in a pod, whatever the job says.",
		Job:       with(vars("CI_DISPOSABLE_ENVIRONMENT", "false"), say("CI_DISPOSABLE_ENVIRONMENT", "CI_SHARED_ENVIRONMENT")),
		Want:      prints("[true]", "[]"),
	},
	{
		Name: "ci-job-image-expanded", Spec: "8.4",
		Behaviour: "CI_JOB_IMAGE shows the image's name expanded.",
		Job:       standin.JobSpec{Variables: vars("WHICH", "debian"), Script: []string{say("CI_JOB_IMAGE")}},
		Make: func(w *World, job *standin.JobSpec) {
			job.Image.Name = strings.Replace(w.Image("debian"), "debian", "$WHICH", 1)
		},
		Want: Want{Says: []string{"/test/debian:1]"}},
	},
}

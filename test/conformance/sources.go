package conformance

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/runnerd/runnerd/internal/standin"
)

// leaves is a hook that leaves files of an earlier job in the project
// directory, before the runner looks at it.
func leaves(commands ...string) []standin.Hook {
	return []standin.Hook{{Name: "pre_get_sources_script", Script: append([]string{`mkdir -p "$CI_PROJECT_DIR"; cd "$CI_PROJECT_DIR"`}, commands...)}}
}

// leftover is a working copy with an untracked and an ignored file.
var leftover = leaves("echo left > left.txt; echo left > left.ignored")

var sources = []Row{
	{
		Name: "checkout-of-the-commit", Spec: "10.6",
		Behaviour: "The project directory holds the commit of the job, checked out as a detached HEAD, and nothing else.",
		Job: script(`test "$(git rev-parse HEAD)" = "$CI_COMMIT_SHA" && echo right commit`, "git symbolic-ref -q HEAD || echo detached",
			"git status --porcelain | wc -l", "wc -l < lib/data.txt"),
		Want: prints("Fetching changes with git depth set to 20...", "Created fresh repository.", "Skipping Git submodules setup", "right commit", "detached", "0", "1000"),
	},
	{
		Name: "project-directory", Spec: "10.3", On: ClusterOnly,
		Behaviour: "The project directory is builds_dir and the project's path.",
		Job:       script("pwd"),
		Want:      prints("/builds/conformance/hello"),
	},
	{
		Name: "strategy-fetch", Spec: "9.1",
		Behaviour: "GIT_STRATEGY=fetch reuses the working copy that is there.",
		Job:       standin.JobSpec{Hooks: leftover, Variables: vars("GIT_STRATEGY", "fetch", "GIT_CLEAN_FLAGS", "none"), Script: []string{"cat left.txt README.md"}},
		Want:      prints("left", "hello"),
	},
	{
		Name: "strategy-clone", Spec: "9.1",
		Behaviour: "GIT_STRATEGY=clone removes the project directory first.",
		Job:       standin.JobSpec{Hooks: leftover, Variables: vars("GIT_STRATEGY", "clone", "GIT_CLEAN_FLAGS", "none"), Script: []string{"test ! -e left.txt && cat README.md"}},
		Want:      prints("hello"),
	},
	{
		Name: "strategy-of-the-project", Spec: "3.1",
		Behaviour: "Without GIT_STRATEGY the project's setting decides: allow_git_fetch false means clone.",
		Job:       standin.JobSpec{NoGitFetch: true, Hooks: leftover, Variables: vars("GIT_CLEAN_FLAGS", "none"), Script: []string{"test ! -e left.txt && cat README.md"}},
		Want:      prints("hello"),
	},
	{
		Name: "strategy-none", Spec: "9.1",
		Behaviour: "GIT_STRATEGY=none runs no git and makes the project directory.",
		Job:       with(vars("GIT_STRATEGY", "none"), `test "$PWD" = "$CI_PROJECT_DIR" && ls -A | wc -l`),
		Want:      prints("Skipping Git repository setup", "0"),
	},
	{
		Name: "strategy-empty", Spec: "9.1",
		Behaviour: "GIT_STRATEGY=empty runs no git, and gives an empty directory with the suffix -empty.",
		Job:       with(vars("GIT_STRATEGY", "empty"), `case $PWD in *-empty) ls -A | wc -l;; esac`),
		Want:      prints("0"),
	},
	{
		Name: "strategy-unknown", Spec: "9.1",
		Behaviour: "An unknown GIT_STRATEGY is told in the log, and the default is used.",
		Job:       with(vars("GIT_STRATEGY", "rubbish"), "cat README.md"),
		Want:      Want{Says: []string{`GIT_STRATEGY="rubbish" is not valid`}, Lines: []string{"hello"}},
	},
	{
		Name: "depth", Spec: "3.3",
		Behaviour: "The depth that GitLab sends bounds the history.",
		Job:       standin.JobSpec{Depth: 5, Script: []string{"git rev-list --count HEAD"}},
		Want:      prints("Fetching changes with git depth set to 5...", "5"),
	},
	{
		Name: "depth-zero", Spec: "3.3",
		Behaviour: "Depth 0 fetches the whole history, all branches and all tags.",
		Job:       standin.JobSpec{Depth: -1, Script: []string{"git rev-list --count HEAD", "git rev-parse --is-shallow-repository", "git branch -r", "git tag"}},
		Want:      prints("Fetching changes...", "31", "false", "  origin/feature", "  origin/main", "v1.0"),
	},
	{
		Name: "depth-variable-is-the-servers", Spec: "9.1",
		Behaviour: "GIT_DEPTH is applied by GitLab; the runner goes by git_info.depth alone.",
		Job:       with(vars("GIT_DEPTH", "1"), "git rev-list --count HEAD"),
		Want:      prints("20"),
	},
	{
		Name: "checkout-off", Spec: "9.1",
		Behaviour: "GIT_CHECKOUT=false fetches and leaves the working tree alone.",
		Job:       with(vars("GIT_CHECKOUT", "false"), "ls | wc -l", `git cat-file -t "$CI_COMMIT_SHA"`),
		Want:      prints("Skipping Git checkout", "0", "commit"),
	},
	{
		Name: "clean-flags-default", Spec: "9.1",
		Behaviour: "By default git clean removes untracked and ignored files.",
		Job:       standin.JobSpec{Hooks: leftover, Script: []string{"find . -name 'left*' | wc -l"}},
		Want:      prints("0"),
	},
	{
		Name: "clean-flags", Spec: "9.1",
		Behaviour: "GIT_CLEAN_FLAGS replaces the flags of git clean.",
		Job:       standin.JobSpec{Hooks: leftover, Variables: vars("GIT_CLEAN_FLAGS", "-ffd"), Script: []string{"ls left*"}},
		Want:      Want{Lines: []string{"left.ignored"}, NoLines: []string{"left.txt"}},
	},
	{
		Name: "clean-flags-exclude", Spec: "9.1",
		Behaviour: "GIT_CLEAN_FLAGS is split at white space, so that it may name what to keep.",
		Job:       standin.JobSpec{Hooks: leftover, Variables: vars("GIT_CLEAN_FLAGS", "-ffdx -e left.txt"), Script: []string{"ls left*"}},
		Want:      Want{Lines: []string{"left.txt"}, NoLines: []string{"left.ignored"}},
	},
	{
		Name: "clean-flags-none", Spec: "9.1",
		Behaviour: "GIT_CLEAN_FLAGS=none switches git clean off.",
		Job:       standin.JobSpec{Hooks: leftover, Variables: vars("GIT_CLEAN_FLAGS", "none"), Script: []string{"ls left*"}},
		Want:      prints("left.ignored", "left.txt"),
	},
	{
		Name: "fetch-extra-flags", Spec: "9.1",
		Behaviour: "GIT_FETCH_EXTRA_FLAGS goes to git fetch in place of --prune --quiet.",
		Job:       with(vars("GIT_FETCH_EXTRA_FLAGS", "--no-tags --quiet"), "git tag | wc -l"),
		Want:      prints("0"),
	},
	{
		Name: "fetch-extra-flags-none", Spec: "9.1",
		Behaviour: "GIT_FETCH_EXTRA_FLAGS=none fetches with no further flags, which shows what git says.",
		Job:       with(vars("GIT_FETCH_EXTRA_FLAGS", "none"), "true"),
		Want:      Want{Says: []string{"[new branch]"}},
	},
	{
		Name: "clone-path", Spec: "9.1", On: ClusterOnly,
		Behaviour: "GIT_CLONE_PATH puts the project elsewhere below builds_dir.",
		Job:       with(vars("GIT_CLONE_PATH", "$CI_BUILDS_DIR/go/src/hello"), "pwd", "cat README.md", "echo $CI_PROJECT_DIR"),
		Want:      prints("/builds/go/src/hello", "hello", "/builds/go/src/hello"),
	},
	{
		Name: "clone-path-outside", Spec: "9.1",
		Behaviour: "A GIT_CLONE_PATH outside of builds_dir is a configuration error.",
		Job:       standin.JobSpec{Variables: vars("GIT_CLONE_PATH", "/tmp/elsewhere")},
		Want:      refused("runner_configuration_error", "GIT_CLONE_PATH"),
	},
	{
		Name: "clone-path-escapes", Spec: "9.1",
		Behaviour: "A GIT_CLONE_PATH that leaves builds_dir by dots is a configuration error.",
		Job:       standin.JobSpec{Variables: vars("GIT_CLONE_PATH", "$CI_BUILDS_DIR/../tmp/elsewhere")},
		Want:      refused("runner_configuration_error", "GIT_CLONE_PATH"),
	},
	{
		Name: "ref-branch", Spec: "3.3",
		Behaviour: "A branch is checked out with its remote-tracking ref.",
		Job:       standin.JobSpec{Ref: "feature", Script: []string{"cat feature.txt", "git branch -r", "echo $CI_COMMIT_BRANCH"}},
		Want:      prints("new", "  origin/feature", "feature"),
	},
	{
		Name: "ref-tag", Spec: "3.3",
		Behaviour: "A tag is checked out under its own name.",
		Job:       standin.JobSpec{Ref: "v1.0", RefType: "tag", Script: []string{"git describe --exact-match --tags", "echo tag: $CI_COMMIT_TAG"}},
		Want:      prints("v1.0", "tag: v1.0"),
	},
	{
		Name: "ref-merge-request", Spec: "3.3",
		Behaviour: "A merge request's commit is fetched by the refspec of its pipeline alone.",
		Job:       standin.JobSpec{Ref: "refs/merge-requests/7/head", Source: "merge_request_event", Script: []string{"cat feature.txt", "git branch -r | wc -l", "echo $CI_PIPELINE_SOURCE"}},
		Want:      Want{Says: []string{"(ref is refs/merge-requests/7/head)"}, Lines: []string{"new", "0", "merge_request_event"}},
	},
	{
		Name: "ref-of-the-pipeline", Spec: "3.3",
		Behaviour: "The older form of the pipeline's refspec, ref to ref, is passed to git as it is.",
		Job: standin.JobSpec{
			Script: []string{"cat README.md", `git rev-parse "refs/pipelines/$CI_PIPELINE_ID" | grep -c "$CI_COMMIT_SHA"`},
			Mutate: func(payload map[string]any) {
				info, _ := payload["job_info"].(map[string]any)
				git, _ := payload["git_info"].(map[string]any)
				id, _ := info["pipeline_id"].(json.Number)
				git["refspecs"] = []any{fmt.Sprintf("+refs/pipelines/%s:refs/pipelines/%[1]s", id)}
			},
		},
		Want: prints("hello", "1"),
	},
	{
		Name: "commit-behind-the-tip", Spec: "3.3",
		Behaviour: "A job of an older commit gets that commit, not the branch's tip.",
		Job:       script("cat number"),
		Make: func(w *World, job *standin.JobSpec) {
			// The branch is there, and so is its history.
			job.SHA, _ = w.Repos["hello"].Head("main~3")
		},
		Want: prints("26"),
	},
	{
		Name: "commit-missing", Spec: "10.2",
		Behaviour: "A commit that is not there fails the job before its script, with git's words.",
		Job: standin.JobSpec{
			Refspecs: []string{"+refs/heads/main:refs/remotes/origin/main"}, AfterScript: []string{"echo after_script ran"},
			Mutate: func(payload map[string]any) {
				git, _ := payload["git_info"].(map[string]any)
				git["sha"] = strings.Repeat("d", 40)
			},
		},
		Want: Want{
			State: standin.Failed, Reason: "script_failure", Exit: 128, Says: []string{"dddddddd", "the commit or ref is not there"},
			NoLines: []string{"the script ran", "after_script ran"},
		},
	},
	{
		Name: "sha256-repository", Spec: "3.3", Repo: "sha256",
		Behaviour: "A repository with SHA-256 object names is made with that format.",
		Job:       script("cat README.md", "git rev-parse --show-object-format", `test "$(git rev-parse HEAD)" = "$CI_COMMIT_SHA" && echo ${#CI_COMMIT_SHA}`),
		Want:      prints("sha256", "sha256", "64"),
	},
	{
		Name: "file-names-and-modes", Spec: "10.6",
		Behaviour: "Names with spaces and Unicode and executable files arrive as they are in the repository.",
		Job:       script("./run.sh", `cat "name with space/ü.txt"`, "stat -c %a README.md run.sh"),
		Want:      prints("ran", "odd name", "644", "755"),
	},
	{
		Name: "no-dubious-ownership", Spec: "10.6",
		Behaviour: "git works in the project directory, with no complaint about its owner.",
		Job:       script(`test "$(stat -c %u .)" = "$(id -u)" && echo mine`, "git status --short && git log -1 --format=%an"),
		Want:      Want{Lines: []string{"mine", "Dev"}, Lacks: []string{"dubious"}},
	},
	{
		Name: "checkout-of-a-user", Spec: "8.4", On: ClusterOnly,
		Behaviour: "In an image with a user of its own the checkout belongs to that user, who can change and commit.",
		Job: in("nonroot", "id -u", "stat -c %u README.md .git lib", "echo more >> README.md && touch lib/new",
			"git -c user.name=x -c user.email=x@example.com commit -qam change && git log -1 --format=%s"),
		Want: Want{Lines: []string{"1000", "1000", "1000", "1000", "change"}, Lacks: []string{"dubious"}},
	},
	{
		Name: "no-token-in-the-config", Spec: "10.6",
		Behaviour: "The remote's URL and the repository's config hold no token.",
		Job: script(`test "$(git config remote.origin.url)" = "$CI_SERVER_URL/$CI_PROJECT_PATH.git" && echo clean URL`,
			`printenv CI_JOB_TOKEN > ../token-$CI_JOB_ID; grep -r -l -f ../token-$CI_JOB_ID .git || echo no token; rm ../token-$CI_JOB_ID`),
		Want: prints("clean URL", "no token"),
	},
	{
		Name: "script-can-fetch", Spec: "10.6",
		Behaviour: "A script's own git reaches the project with the job token.",
		Job:       script(`git fetch -q "$CI_REPOSITORY_URL" feature && git show FETCH_HEAD:feature.txt`),
		Want:      prints("new"),
	},
	{
		Name: "repository-hooks-do-not-run", Spec: "10.6",
		Behaviour: "Hooks, fsmonitor and filters that an earlier job left in .git are not run by the runner.",
		Job: standin.JobSpec{
			Hooks: leaves("git init -q .; mkdir -p .git/hooks", `printf '#!/bin/sh\ntouch "%s/evil"\n' "$CI_BUILDS_DIR/$CI_JOB_ID" > .git/hooks/post-checkout`,
				"chmod +x .git/hooks/post-checkout; cp .git/hooks/post-checkout .git/hooks/reference-transaction; cp .git/hooks/post-checkout .git/fsm",
				`git config core.fsmonitor .git/fsm; git config filter.evil.smudge .git/fsm; echo '* filter=evil' > .git/info/attributes; mkdir -p "$CI_BUILDS_DIR/$CI_JOB_ID"`),
			Script: []string{`ls "$CI_BUILDS_DIR/$CI_JOB_ID" | wc -l; rm -r "$CI_BUILDS_DIR/$CI_JOB_ID"`, "cat README.md"},
		},
		Want: prints("0", "hello"),
	},
	{
		Name: "stale-locks", Spec: "10.6",
		Behaviour: "Lock files of an interrupted git are removed before the fetch.",
		Job: standin.JobSpec{
			Hooks:  leaves("git init -q .; mkdir -p .git/refs/heads; touch .git/index.lock .git/shallow.lock .git/HEAD.lock .git/config.lock .git/refs/heads/x.lock"),
			Script: []string{"cat README.md", "find .git -name '*.lock' | wc -l"},
		},
		Want: prints("hello", "0"),
	},
	{
		Name: "hook-before-the-sources", Spec: "3.7",
		Behaviour: "hooks:pre_get_sources_script runs before git, with the job's variables.",
		Job:       standin.JobSpec{Hooks: []standin.Hook{{Name: "pre_get_sources_script", Script: []string{"echo before: $WHO"}}}, Variables: vars("WHO", "dev"), Script: []string{"cat README.md"}},
		Want:      prints("before: dev", "Created fresh repository.", "hello"),
	},
	{
		Name: "hook-behind-the-sources", Spec: "3.7",
		Behaviour: "A post_get_sources_script runs in the project directory when everything is there.",
		Job:       standin.JobSpec{Hooks: []standin.Hook{{Name: "post_get_sources_script", Script: []string{"echo behind: $(cat README.md)"}}}},
		Want:      prints("Created fresh repository.", "behind: hello", "the script ran"),
	},
	{
		Name: "hook-fails", Spec: "10.2",
		Behaviour: "A hook that fails fails the job, with its exit code, before the script.",
		Job:       standin.JobSpec{Hooks: []standin.Hook{{Name: "pre_get_sources_script", Script: []string{"exit 6"}}}},
		Want:      Want{State: standin.Failed, Reason: "script_failure", Exit: 6, NoLines: []string{"the script ran"}},
	},
	{
		Name: "hook-without-git", Spec: "10.6",
		Behaviour: "With GIT_STRATEGY none there are no hooks around the sources.",
		Job:       standin.JobSpec{Variables: vars("GIT_STRATEGY", "none"), Hooks: []standin.Hook{{Name: "pre_get_sources_script", Script: []string{"echo the hook ran"}}}},
		Want:      Want{Lines: []string{"the script ran"}, NoLines: []string{"the hook ran"}},
	},
	{
		Name: "hooks-of-the-operator", Spec: "10.6", Site: "operator",
		Behaviour: "The operator's scripts around the sources are the outer ones.",
		Job: standin.JobSpec{Hooks: []standin.Hook{
			{Name: "pre_get_sources_script", Script: []string{"echo job before the sources"}}, {Name: "post_get_sources_script", Script: []string{"echo job behind the sources"}},
		}},
		Want: prints("operator before the sources", "job before the sources", "job behind the sources", "operator behind the sources", "the script ran"),
	},
	{
		Name: "sources-attempts", Spec: "9.2",
		Behaviour: "GET_SOURCES_ATTEMPTS tries again, after a clean-up, when the first try fails.",
		Job: standin.JobSpec{
			Hooks: []standin.Hook{{Name: "pre_get_sources_script", Script: []string{
				`if [ ! -e "$CI_BUILDS_DIR/tried-$CI_JOB_ID" ]; then touch "$CI_BUILDS_DIR/tried-$CI_JOB_ID"; exit 3; fi; rm "$CI_BUILDS_DIR/tried-$CI_JOB_ID"`,
			}}},
			Variables: vars("GET_SOURCES_ATTEMPTS", "2"), Script: []string{"cat README.md"},
		},
		Want: Want{Says: []string{"attempt 2 of 2"}, Lines: []string{"Deleting all tracked and untracked files due to source fetch failure", "hello"}},
	},
	{
		Name: "sources-attempts-out-of-range", Spec: "9.2",
		Behaviour: "A number of attempts beyond 10 is told in the log and cut.",
		Job:       with(vars("GET_SOURCES_ATTEMPTS", "99"), "cat README.md"),
		Want:      Want{Says: []string{`GET_SOURCES_ATTEMPTS="99" is not valid`}, Lines: []string{"hello"}},
	},
}

package conformance

import "github.com/runnerd/runnerd/internal/standin"

// there prints 1 for each path that is there, else 0.
const there = `there() { for f in "$@"; do test -e "$f" && printf 1 || printf 0; done; echo; }`

var submodules = []Row{
	{
		Name: "submodules-default", Spec: "9.1", Repo: "parent",
		Behaviour: "Without GIT_SUBMODULE_STRATEGY submodules stay empty.",
		Job:       script(there, "there a/lib.txt b/lib.txt"),
		Want:      prints("Skipping Git submodules setup", "00"),
	},
	{
		Name: "submodules-none", Spec: "9.1", Repo: "parent",
		Behaviour: "GIT_SUBMODULE_STRATEGY=none leaves submodules empty.",
		Job:       with(vars("GIT_SUBMODULE_STRATEGY", "none"), there, "there a/lib.txt"),
		Want:      prints("Skipping Git submodules setup", "0"),
	},
	{
		Name: "submodules-normal", Spec: "9.1", Repo: "parent",
		Behaviour: "GIT_SUBMODULE_STRATEGY=normal checks the project's own submodules out, fetched with the job token.",
		Job:       with(vars("GIT_SUBMODULE_STRATEGY", "normal"), there, "there a/lib.txt b/lib.txt a/in/inner.txt"),
		Want:      prints("110"),
	},
	{
		Name: "submodules-recursive", Spec: "9.1", Repo: "parent",
		Behaviour: "GIT_SUBMODULE_STRATEGY=recursive checks submodules of submodules out as well.",
		Job:       with(vars("GIT_SUBMODULE_STRATEGY", "recursive"), there, "there a/lib.txt b/lib.txt a/in/inner.txt"),
		Want:      prints("111"),
	},
	{
		Name: "submodules-unknown", Spec: "9.1", Repo: "parent",
		Behaviour: "An unknown GIT_SUBMODULE_STRATEGY fails the job.",
		Job:       standin.JobSpec{Variables: vars("GIT_SUBMODULE_STRATEGY", "deep")},
		Want:      refused("runner_configuration_error", `unknown GIT_SUBMODULE_STRATEGY "deep"`),
	},
	{
		Name: "submodules-depth-of-the-project", Spec: "9.1", Repo: "parent",
		Behaviour: "Submodules are fetched as deep as the project.",
		Job:       standin.JobSpec{Depth: 3, Variables: vars("GIT_SUBMODULE_STRATEGY", "normal"), Script: []string{"git -C a rev-list --count HEAD"}},
		Want:      prints("2"), // the branch is one commit ahead of what the project names
	},
	{
		Name: "submodules-depth", Spec: "9.1", Repo: "parent",
		Behaviour: "GIT_SUBMODULE_DEPTH gives submodules a depth of their own.",
		Job:       with(vars("GIT_SUBMODULE_STRATEGY", "normal", "GIT_SUBMODULE_DEPTH", "1"), "git -C a rev-list --count HEAD"),
		Want:      prints("1"),
	},
	{
		Name: "submodules-depth-zero", Spec: "9.1", Repo: "parent",
		Behaviour: "GIT_SUBMODULE_DEPTH=0 fetches their whole history.",
		Job:       standin.JobSpec{Depth: 2, Variables: vars("GIT_SUBMODULE_STRATEGY", "normal", "GIT_SUBMODULE_DEPTH", "0"), Script: []string{"git -C a rev-list --count HEAD"}},
		Want:      prints("7"),
	},
	{
		Name: "submodules-paths", Spec: "9.1", Repo: "parent",
		Behaviour: "GIT_SUBMODULE_PATHS picks submodules.",
		Job:       with(vars("GIT_SUBMODULE_STRATEGY", "recursive", "GIT_SUBMODULE_PATHS", "b"), there, "there a/lib.txt b/lib.txt b/in/inner.txt"),
		Want:      prints("011"),
	},
	{
		Name: "submodules-paths-exclude", Spec: "9.1", Repo: "parent",
		Behaviour: "GIT_SUBMODULE_PATHS leaves submodules out by :(exclude).",
		Job:       with(vars("GIT_SUBMODULE_STRATEGY", "normal", "GIT_SUBMODULE_PATHS", ":(exclude)a"), there, "there a/lib.txt b/lib.txt"),
		Want:      prints("01"),
	},
	{
		Name: "submodules-update-flags", Spec: "9.1", Repo: "parent",
		Behaviour: "GIT_SUBMODULE_UPDATE_FLAGS goes to git submodule update: --remote takes the branch's tip.",
		Job:       with(vars("GIT_SUBMODULE_STRATEGY", "normal", "GIT_SUBMODULE_UPDATE_FLAGS", "--remote --jobs 2"), "cat a/later.txt"),
		Want:      prints("later"),
	},
	{
		Name: "submodules-pinned", Spec: "9.1", Repo: "parent",
		Behaviour: "Without --remote a submodule stands at the commit that the project names.",
		Job:       with(vars("GIT_SUBMODULE_STRATEGY", "normal"), there, "there a/later.txt", "git submodule status | grep -c '^+' || true"),
		Want:      prints("0", "0"),
	},
	{
		Name: "submodules-force-https", Spec: "9.1", Repo: "parent",
		Behaviour: "GIT_SUBMODULE_FORCE_HTTPS fetches git@host: URLs of GitLab by HTTP with the job token.",
		Job:       standin.JobSpec{Ref: "ssh", Variables: vars("GIT_SUBMODULE_STRATEGY", "normal", "GIT_SUBMODULE_FORCE_HTTPS", "true"), Script: []string{"cat s/lib.txt"}},
		Want:      prints("lib"),
	},
	{
		Name: "submodules-missing", Spec: "10.6", Repo: "parent",
		Behaviour: "A submodule that cannot be fetched is tried twice and fails the job before its script.",
		Job:       standin.JobSpec{Ref: "broken", Variables: vars("GIT_SUBMODULE_STRATEGY", "normal")},
		Want: Want{
			State: standin.Failed, Reason: "script_failure", Says: []string{"Updating submodules failed. Retrying...", "gone.git"}, NoLines: []string{"the script ran"},
		},
	},
	{
		Name: "submodules-without-any", Spec: "10.6",
		Behaviour: "A project without submodules takes GIT_SUBMODULE_STRATEGY as well.",
		Job:       with(vars("GIT_SUBMODULE_STRATEGY", "recursive"), "cat README.md"),
		Want:      prints("hello"),
	},
	{
		Name: "submodules-no-token", Spec: "10.6", Repo: "parent",
		Behaviour: "The token is in no submodule's config, and git works in a submodule.",
		Job: with(vars("GIT_SUBMODULE_STRATEGY", "recursive"), `printenv CI_JOB_TOKEN > ../token-$CI_JOB_ID; grep -r -l -f ../token-$CI_JOB_ID .git a b || echo no token; rm ../token-$CI_JOB_ID`,
			"git -C a status --porcelain | wc -l"),
		Want: prints("no token", "0"),
	},
	{
		Name: "submodules-of-a-user", Spec: "10.6", Repo: "parent", On: ClusterOnly,
		Behaviour: "Submodules belong to the user of the image, as the project does.",
		Job: standin.JobSpec{
			Image: standin.Image{Name: "nonroot"}, Variables: vars("GIT_SUBMODULE_STRATEGY", "recursive"),
			Script: []string{"stat -c %u a/lib.txt a/in/inner.txt .git/modules/a", "git -C a/in status --porcelain | wc -l"},
		},
		Want: prints("1000", "1000", "1000", "0"),
	},
	{
		Name: "lfs", Spec: "10.6", Repo: "lfs",
		Behaviour: "Files in Git LFS are there in full, fetched with the job token.",
		Job:       script("wc -c < big.bin", "cat deep/er.bin"),
		Want:      prints("200000", "deeper"),
	},
	{
		Name: "lfs-skip-smudge", Spec: "9.1", Repo: "lfs",
		Behaviour: "GIT_LFS_SKIP_SMUDGE=true leaves pointers.",
		Job:       with(vars("GIT_LFS_SKIP_SMUDGE", "true"), "head -n 1 big.bin"),
		Want:      prints("version https://git-lfs.github.com/spec/v1"),
	},
	{
		Name: "lfs-in-a-submodule", Spec: "10.6", Repo: "lfs",
		Behaviour: "Files in Git LFS of a submodule are there in full.",
		Job:       with(vars("GIT_SUBMODULE_STRATEGY", "normal"), "cat assets/logo.bin"),
		Want:      prints("the logo"),
	},
	{
		Name: "lfs-object-missing", Spec: "10.6", Repo: "lfs",
		Behaviour: "An object that GitLab does not have fails the job before its script.",
		Job:       standin.JobSpec{Ref: "missing"},
		Want:      Want{State: standin.Failed, Reason: "script_failure", Says: []string{"lfs"}, NoLines: []string{"the script ran"}},
	},
	{
		Name: "lfs-no-token", Spec: "10.6", Repo: "lfs",
		Behaviour: "Git LFS leaves no credentials in the repository.",
		Job:       script(`printenv CI_JOB_TOKEN > ../token-$CI_JOB_ID; grep -r -l -f ../token-$CI_JOB_ID .git || echo no token; rm ../token-$CI_JOB_ID`),
		Want:      prints("no token"),
	},
}

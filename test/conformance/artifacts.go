package conformance

import "github.com/runnerd/runnerd/internal/standin"

// archive is what artifacts:paths becomes.
func archive(paths ...string) standin.Artifact {
	return standin.Artifact{Paths: paths, Type: "archive", Format: "zip"}
}

// report is what a key of artifacts:reports becomes.
func report(kind, format, path string) standin.Artifact {
	return standin.Artifact{Name: kind, Paths: []string{path}, When: "always", Type: kind, Format: format}
}

// leaving is a job that leaves artifacts.
func leaving(a standin.Artifact, commands ...string) standin.JobSpec {
	return standin.JobSpec{Artifacts: []standin.Artifact{a}, Script: commands}
}

// named is an archive with a name of its own.
func named(name string, paths ...string) standin.Artifact {
	a := archive(paths...)
	a.Name = name
	return a
}

func when(a standin.Artifact, condition string) standin.Artifact {
	a.When = condition
	return a
}

func upload(entries ...string) Want { return Want{Uploads: []Upload{{Entries: entries}}} }

func nothingUploaded(w Want) Want {
	w.Uploads = []Upload{}
	return w
}

var artifacts = []Row{
	{
		Name: "artifacts-paths", Spec: "6.1",
		Behaviour: "artifacts:paths are uploaded as one zip archive, directories with all that is in them.",
		Job:       leaving(archive("out", "one.txt"), "mkdir -p out/sub; echo a > out/a; echo b > out/sub/b; echo c > one.txt; echo d > two.txt"),
		Want:      Want{Uploads: []Upload{{Filename: "artifacts.zip", Entries: []string{"out/a", "out/sub/b", "one.txt"}, Lacks: []string{"two.txt"}}}},
	},
	{
		Name: "artifacts-globs", Spec: "6.1",
		Behaviour: "Paths are globs: * and ? within a directory, ** across them.",
		Job:       leaving(archive("**/*.log", "data?.csv"), "mkdir -p a/b; touch x.log a/y.log a/b/z.log data1.csv data22.csv"),
		Want:      Want{Uploads: []Upload{{Entries: []string{"x.log", "a/y.log", "a/b/z.log", "data1.csv"}, Lacks: []string{"data22.csv"}}}},
	},
	{
		Name: "artifacts-exclude", Spec: "6.1",
		Behaviour: "artifacts:exclude leaves files out.",
		Job: leaving(standin.Artifact{Paths: []string{"out"}, Exclude: []string{"out/**/*.o"}, Type: "archive", Format: "zip"},
			"mkdir -p out/sub; touch out/keep out/sub/drop.o"),
		Want: Want{Uploads: []Upload{{Entries: []string{"out/keep"}, Lacks: []string{"out/sub/drop.o"}}}},
	},
	{
		Name: "artifacts-untracked", Spec: "6.1",
		Behaviour: "artifacts:untracked adds what git does not track, ignored files too.",
		Job:       leaving(standin.Artifact{Untracked: true, Type: "archive", Format: "zip"}, "touch new.txt x.ignored; echo changed >> README.md"),
		Want:      Want{Uploads: []Upload{{Entries: []string{"new.txt", "x.ignored"}, Lacks: []string{"README.md"}}}},
	},
	{
		Name: "artifacts-name", Spec: "3.9",
		Behaviour: "artifacts:name is expanded, with what the script wrote to GITLAB_ENV.",
		Job:       leaving(named("$CI_JOB_NAME-$VERSION", "out"), `echo VERSION=1.2 >> "$GITLAB_ENV"; echo x > out`),
		Want:      Want{Uploads: []Upload{{Filename: "artifacts-name-1.2.zip", Entries: []string{"out"}}}},
	},
	{
		Name: "artifacts-name-empty", Spec: "3.9",
		Behaviour: "A name that expands to nothing becomes default.",
		Job:       leaving(named("$NO_SUCH_THING", "out"), "echo x > out"),
		Want:      Want{Uploads: []Upload{{Filename: "default.zip"}}},
	},
	{
		Name: "artifacts-path-variables", Spec: "6.1",
		Behaviour: "Variables in paths are expanded.",
		Job:       standin.JobSpec{Variables: vars("OUT", "made"), Artifacts: []standin.Artifact{archive("$OUT/*.txt")}, Script: []string{"mkdir made; touch made/a.txt"}},
		Want:      upload("made/a.txt"),
	},
	{
		Name: "artifacts-missing", Spec: "6.1",
		Behaviour: "Paths that match nothing are told in the log, and the job succeeds.",
		Job:       leaving(archive("nowhere/"), "true"),
		Want:      nothingUploaded(Want{Says: []string{"nowhere/"}, Lines: []string{"Job succeeded"}}),
	},
	{
		Name: "artifacts-outside", Spec: "6.1",
		Behaviour: "What lies outside of the project is not uploaded, and told in the log.",
		Job:       leaving(archive("../../outside", "inside"), "echo x > inside"),
		Want:      upload("inside"),
	},
	{
		Name: "artifacts-of-a-failed-job", Spec: "3.9",
		Behaviour: "A failed job uploads nothing by default.",
		Job:       leaving(archive("out"), "echo x > out; exit 3"),
		Want:      nothingUploaded(failed(3)),
	},
	{
		Name: "artifacts-on-failure", Spec: "3.9",
		Behaviour: "artifacts:when on_failure uploads when the job failed.",
		Job:       leaving(when(archive("out"), "on_failure"), "echo x > out; exit 3"),
		Want:      Want{State: standin.Failed, Exit: 3, Uploads: []Upload{{Entries: []string{"out"}}}},
	},
	{
		Name: "artifacts-on-failure-of-a-success", Spec: "3.9",
		Behaviour: "artifacts:when on_failure uploads nothing when the job succeeded.",
		Job:       leaving(when(archive("out"), "on_failure"), "echo x > out"),
		Want:      nothingUploaded(Want{}),
	},
	{
		Name: "artifacts-always", Spec: "3.9",
		Behaviour: "artifacts:when always uploads in both cases.",
		Job:       leaving(when(archive("out"), "always"), "echo x > out; exit 3"),
		Want:      Want{State: standin.Failed, Exit: 3, Uploads: []Upload{{Entries: []string{"out"}}}},
	},
	{
		Name: "artifacts-from-after-script", Spec: "10.1",
		Behaviour: "What after_script makes is uploaded as well.",
		Job:       standin.JobSpec{Artifacts: []standin.Artifact{archive("late")}, AfterScript: []string{"echo x > late"}},
		Want:      upload("late"),
	},
	{
		Name: "artifacts-of-a-user", Spec: "6.1", On: ClusterOnly,
		Behaviour: "Files that only the user of the image may read are uploaded.",
		Job:       standin.JobSpec{Image: standin.Image{Name: "nonroot"}, Artifacts: []standin.Artifact{archive("secret")}, Script: []string{"umask 077; echo x > secret"}},
		Want:      upload("secret"),
	},
	{
		Name: "artifacts-symlink", Spec: "6.1",
		Behaviour: "A symlink is stored as a symlink, and not as what it points to.",
		Job:       leaving(archive("link", "out"), "mkdir out; ln -s /etc/passwd link; ln -s /etc out/etc"),
		Want:      Want{Uploads: []Upload{{Entries: []string{"link", "out/etc"}, Lacks: []string{"out/etc/passwd"}}}},
	},
	{
		Name: "artifacts-names", Spec: "6.1",
		Behaviour: "Names with blanks and Unicode arrive as they are.",
		Job:       leaving(archive("out"), "mkdir out; touch 'out/a b' out/ü"),
		Want:      upload("out/a b", "out/ü"),
	},
	{
		Name: "report-junit", Spec: "6.2",
		Behaviour: "artifacts:reports:junit is sent compressed, under its own type.",
		Job:       leaving(report("junit", "gzip", "junit.xml"), "echo '<testsuites/>' > junit.xml"),
		Want:      Want{Uploads: []Upload{{Type: "junit", Format: "gzip", Filename: "junit.gz", Content: "<testsuites/>\n"}}},
	},
	{
		Name: "report-junit-several", Spec: "6.1",
		Behaviour: "Several files of a report become one, each compressed by itself, in the order of their names.",
		Job:       leaving(report("junit", "gzip", "*.xml"), "echo b > b.xml; echo a > a.xml"),
		Want:      Want{Uploads: []Upload{{Type: "junit", Format: "gzip", Content: "a\nb\n"}}},
	},
	{
		Name: "report-of-a-failed-job", Spec: "3.9",
		Behaviour: "Reports of a failed job are sent as well.",
		Job:       leaving(report("junit", "gzip", "junit.xml"), "echo '<bad/>' > junit.xml; exit 3"),
		Want:      Want{State: standin.Failed, Exit: 3, Uploads: []Upload{{Type: "junit", Format: "gzip", Content: "<bad/>\n"}}},
	},
	{
		Name: "report-dotenv", Spec: "6.2",
		Behaviour: "artifacts:reports:dotenv hands variables to later jobs.",
		Job:       leaving(report("dotenv", "gzip", "build.env"), "echo VERSION=1.2 > build.env"),
		Want:      Want{Uploads: []Upload{{Type: "dotenv", Format: "gzip", Content: "VERSION=1.2\n"}}},
	},
	{
		Name: "report-sast", Spec: "6.2",
		Behaviour: "A security report is one file, sent as it is.",
		Job:       leaving(report("sast", "raw", "sast.json"), `echo '{"version":"15"}' > sast.json`),
		Want:      Want{Uploads: []Upload{{Type: "sast", Format: "raw", Content: `{"version":"15"}` + "\n"}}},
	},
	{
		Name: "report-raw-several", Spec: "6.1",
		Behaviour: "More than one file in a report that must be one fails the job.",
		Job:       leaving(report("sast", "raw", "*.json"), "echo 1 > a.json; echo 2 > b.json"),
		Want:      nothingUploaded(Want{State: standin.Failed}),
	},
	{
		Name: "artifacts-and-reports", Spec: "6.1",
		Behaviour: "Archive and reports are uploaded in the order of the payload.",
		Job: standin.JobSpec{
			Artifacts: []standin.Artifact{archive("out"), report("junit", "gzip", "j.xml"), report("dotenv", "gzip", "e.env")}, Script: []string{"echo x > out; echo j > j.xml; echo A=1 > e.env"},
		},
		Want: Want{Uploads: []Upload{{Entries: []string{"out"}}, {Type: "junit", Format: "gzip"}, {Type: "dotenv", Format: "gzip"}}},
	},
	{
		Name: "dependency", Spec: "6.3",
		Behaviour: "The artifacts of an earlier job are in the project directory before the script.",
		Archive:   map[string]string{"out/a": "from the earlier job\n", "README.md": "replaced\n"},
		Job:       script("cat out/a README.md"),
		Want:      prints("Downloading artifacts", "from the earlier job", "replaced"),
	},
	{
		Name: "dependency-without-sources", Spec: "6.3",
		Behaviour: "GIT_STRATEGY none leaves the artifacts as all there is.",
		Archive:   map[string]string{"app": "binary\n"},
		Job:       with(vars("GIT_STRATEGY", "none"), "cat app; ls | wc -l"),
		Want:      prints("binary", "1"),
	},
	{
		Name: "dependency-of-a-user", Spec: "6.3", On: ClusterOnly,
		Behaviour: "They belong to the user of the image.",
		Archive:   map[string]string{"out/a": "a\n"},
		Job:       in("nonroot", "echo more >> out/a && stat -c %u out/a"),
		Want:      prints("1000"),
	},
	{
		Name: "dependency-escapes", Spec: "6.3",
		Behaviour: "An archive with a path that leaves the project fails the job before its script.",
		Archive:   map[string]string{"../../outside": "x"},
		Want:      Want{State: standin.Failed, NoLines: []string{"the script ran"}},
	},
	{
		Name: "dependency-without-artifacts", Spec: "6.4",
		Behaviour: "A dependency that has left nothing is skipped silently.",
		Job:       standin.JobSpec{Dependencies: []standin.Dependency{{ID: 1, Name: "lint", Token: "x"}}},
		Want:      Want{Lines: []string{"the script ran"}, Lacks: []string{"Downloading artifacts"}},
	},
	{
		Name: "artifacts-large", Spec: "6.1",
		Behaviour: "An archive of many files is uploaded whole.",
		Job:       leaving(archive("many"), "mkdir many; for i in $(seq 500); do echo $i > many/$i; done"),
		Want:      upload("many/1", "many/250", "many/500"),
	},
}

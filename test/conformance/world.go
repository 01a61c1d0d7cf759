package conformance

import (
	"archive/zip"
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/runnerd/runnerd/internal/standin"
	"github.com/runnerd/runnerd/internal/vaulttest"
)

// A World is what rows find: a GitLab with projects, and images.
type World struct {
	Server  *standin.Server
	Place   string                          // Cluster or Local
	Image   func(short string) string       // the whole name of a test image
	Private string                          // host and port of a registry that wants a password
	Vault   *vaulttest.Server               // of a site with one
	Pod     func(*standin.Job) (Pod, error) // of a job, also when it is gone; on the cluster only
	Gone    func(*standin.Job) (Pod, error) // the same, and waits until it is gone
	Done    map[string]*standin.Job         // shape and job, of what has run before
	Repos   map[string]*standin.Repository
	access  map[string][]*standin.Repository // what else a project's jobs may read
}

// A Pod is what rows look at in a job's pod.
type Pod struct {
	Labels, Annotations map[string]string
	Environment         map[string]string // of the build container
	JSON                string            // all of it
	Ended               time.Time         // when it was gone; zero for one that is there
}

// A Site is a config of the runner that rows need.
type Site struct {
	Name       string
	Runner     string // lines for [[runners]]
	Kubernetes string // lines for [runners.kubernetes]
	Vault      bool   // there is a Vault, and [runners.secrets] names it
	PrivateCA  bool   // GitLab's certificate is of an authority that only the config knows

	// ClientCertificate says that, besides, GitLab talks to nobody without a
	// client certificate. The runner has one.
	ClientCertificate bool

	// Allow are points of the protocol that the stand-in is not to check: it
	// does not know the config.
	Allow []string
}

// Sites are the configs, by the name that rows use.
var Sites = []Site{
	{Name: ""},
	{
		Name: "operator", Allow: []string{"14.27"}, // CI_DEBUG_TRACE is refused
		Runner: `
output_limit = 16
debug_trace_disabled = true
environment = ["FROM_CONFIG=config", "OVERRIDDEN=config", "CI_BUILD_FLAVOUR=plain"]
pre_get_sources_script = "echo operator before the sources"
post_get_sources_script = "echo operator behind the sources"
pre_build_script = "echo operator before the script; operator_shell=same"
post_build_script = "echo operator behind the script"
feature_flags = { FF_TIMESTAMPS = true, FF_HASH_CACHE_KEYS = true }
`,
	},
	{
		Name: "lenient",
		Kubernetes: `
service_account_overwrite_allowed = "^default$"
node_selector_overwrite_allowed = "^kubernetes.io/"
node_tolerations_overwrite_allowed = "^pool="
pod_labels_overwrite_allowed = ".*"
pod_annotations_overwrite_allowed = ".*"
cpu_request_overwrite_max_allowed = "100m"
memory_request_overwrite_max_allowed = "1Gi"
memory_limit_overwrite_max_allowed = "1Gi"
helper_memory_limit_overwrite_max_allowed = "1Gi"
service_cpu_request_overwrite_max_allowed = "100m"
`,
	},
	{Name: "vault", Vault: true},
	{Name: "private CA", PrivateCA: true},
	{Name: "keeping", Kubernetes: `keep_failed_pods = "5s"`},
	{Name: "client certificate", ClientCertificate: true},
}

// Populate makes the projects and the Vault's secrets.
func (w *World) Populate() error {
	if w.Vault != nil {
		w.fillVault()
	}
	w.Repos = map[string]*standin.Repository{}
	w.access = map[string][]*standin.Repository{}
	for _, make := range []func(*World) error{(*World).hello, (*World).sha256, (*World).submodules, (*World).lfs} {
		if err := make(w); err != nil {
			return err
		}
	}
	return nil
}

// hello has two branches, a tag, a merge request and thirty commits.
func (w *World) hello() error {
	r, err := w.Server.AddRepository("conformance/hello", map[string]string{
		"README.md": "hello\n", "lib/data.txt": strings.Repeat("data\n", 1000), "run.sh": "#!/bin/sh\necho ran\n",
		".gitignore": "*.ignored\n", "name with space/ü.txt": "odd name\n",
	})
	if err != nil {
		return err
	}
	for i := range 30 {
		if _, err := r.Commit("main", map[string]string{"number": fmt.Sprintln(i)}); err != nil {
			return err
		}
	}
	feature, err := r.Commit("feature", map[string]string{"feature.txt": "new\n"})
	if err != nil {
		return err
	}
	head, err := r.Head("main")
	if err != nil {
		return err
	}
	w.Repos["hello"] = r
	if err := r.Tag("v1.0", head); err != nil {
		return err
	}
	return r.MergeRequest(7, feature)
}

func (w *World) sha256() error {
	r, err := w.Server.AddRepositorySHA256("conformance/sha256", map[string]string{"README.md": "sha256\n"})
	w.Repos["sha256"] = r
	return err
}

// submodules holds lib, which holds inner, three times: by a relative URL, by
// the SSH form of GitLab's own, and a broken one on a branch of its own.
func (w *World) submodules() error {
	inner, err := w.Server.AddRepository("conformance/inner", map[string]string{"inner.txt": "inner\n"})
	if err != nil {
		return err
	}
	lib, err := w.Server.AddRepository("conformance/lib", map[string]string{"lib.txt": "lib\n"})
	if err != nil {
		return err
	}
	for i := range 5 {
		if _, err := lib.Commit("main", map[string]string{"number": fmt.Sprintln(i)}); err != nil {
			return err
		}
	}
	if _, err := lib.AddSubmodule("main", "in", inner, "../inner.git"); err != nil {
		return err
	}
	r, err := w.Server.AddRepository("conformance/parent", map[string]string{"README.md": "parent\n"})
	if err != nil {
		return err
	}
	for _, name := range []string{"a", "b"} {
		if _, err := r.AddSubmodule("main", name, lib, "../lib.git"); err != nil {
			return err
		}
	}
	_, host, _ := strings.Cut(w.Server.URL(), "://")
	host, _, _ = strings.Cut(host, ":")
	if _, err := r.AddSubmodule("ssh", "s", lib, "git@"+host+":conformance/lib.git"); err != nil {
		return err
	}
	if _, err := r.AddSubmodule("broken", "c", lib, "../gone.git"); err != nil {
		return err
	}
	// lib moves on: what --remote brings, and the parent does not name.
	if _, err := lib.Commit("main", map[string]string{"later.txt": "later\n"}); err != nil {
		return err
	}
	w.Repos["parent"], w.access["parent"] = r, []*standin.Repository{lib, inner}
	return nil
}

// lfs holds two files that lie in Git LFS, and a submodule with another one.
func (w *World) lfs() error {
	assets, err := w.Server.AddRepository("conformance/assets", map[string]string{"README.md": "assets\n"})
	if err != nil {
		return err
	}
	if _, err := assets.AddLFS("main", "logo.bin", "the logo\n"); err != nil {
		return err
	}
	r, err := w.Server.AddRepository("conformance/lfs", map[string]string{"README.md": "lfs\n"})
	if err != nil {
		return err
	}
	for name, content := range map[string]string{"big.bin": strings.Repeat("big\n", 50_000), "deep/er.bin": "deeper\n"} {
		if _, err := r.AddLFS("main", name, content); err != nil {
			return err
		}
	}
	if _, err := r.AddSubmodule("main", "assets", assets, "../assets.git"); err != nil {
		return err
	}
	w.Repos["lfs"], w.access["lfs"] = r, []*standin.Repository{assets}
	_, err = r.Commit("missing", map[string]string{
		".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n",
		"gone.bin":       "version https://git-lfs.github.com/spec/v1\noid sha256:" + strings.Repeat("d", 64) + "\nsize 9\n",
	})
	return err
}

// Spec is the job of a row, ready to be added.
func (w *World) Spec(row Row) standin.JobSpec {
	job := row.Job
	job.Name = row.Name
	if job.Repository == nil {
		name := row.Repo
		if name == "" {
			name = "hello"
		}
		job.Repository, job.Access = w.Repos[name], w.access[name]
	}
	if job.Script == nil && job.Steps == nil && job.Run == "" {
		job.Script = []string{theScriptRan}
	}
	job.Image.Name = w.reference(job.Image.Name, "debian")
	for i := range job.Services {
		job.Services = append([]standin.Service(nil), job.Services...)
		job.Services[i].Name = w.reference(job.Services[i].Name, "busybox")
	}
	if row.Archive != nil {
		job.DependsOn = []*standin.Job{w.earlier(row)}
	}
	if row.Make != nil {
		row.Make(w, &job)
	}
	return job
}

// earlier is a job that has left a row's archive.
func (w *World) earlier(row Row) *standin.Job {
	var data bytes.Buffer
	archive := zip.NewWriter(&data)
	for _, name := range slices.Sorted(maps.Keys(row.Archive)) {
		file, err := archive.Create(name)
		if err == nil {
			_, err = file.Write([]byte(row.Archive[name]))
		}
		if err != nil {
			panic(fmt.Sprintf("row %s: its archive: %v", row.Name, err)) // a mistake in the table
		}
	}
	if err := archive.Close(); err != nil {
		panic(fmt.Sprintf("row %s: its archive: %v", row.Name, err))
	}
	job := w.Server.AddJob(standin.JobSpec{Name: "earlier than " + row.Name, Held: true})
	job.AddArchive("artifacts.zip", data.Bytes())
	return job
}

// reference is the whole name of a test image; other names stay as they are.
func (w *World) reference(name, fallback string) string {
	switch name {
	case "":
		return w.Image(fallback)
	case "debian", "busybox", "nonroot", "sh", "distroless":
		return w.Image(name)
	}
	return name
}

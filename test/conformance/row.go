// Package conformance lists what a job of a .gitlab-ci.yml may ask of its
// runner: one row a behaviour, with a job that shows it and what must be seen.
// It is meant to be read; test/e2e runs it, on a cluster and as processes.
package conformance

import (
	"slices"

	"github.com/runnerd/runnerd/internal/standin"
)

// A Row is one behaviour.
type Row struct {
	Area      string // set by Rows
	Name      string // short and unique
	Spec      string // section of the runner API's description
	Behaviour string // one sentence

	On   Place  // where it can be seen
	Site string // the runner's config: one of Sites; empty is the plain one
	Repo string // the project: one of the World's repositories; empty is "hello"

	// Job is what GitLab hands out. Its image is one of the test images, by its
	// short name; empty is "debian". Make adds what only a running world knows.
	Job  standin.JobSpec
	Make func(w *World, job *standin.JobSpec)

	// Archive is what an earlier job has uploaded: the job depends on it.
	Archive map[string]string

	// CancelAt presses the cancel button when the log has this line.
	CancelAt string

	Want Want
}

// A Place is where a row can be seen.
type Place int

// The places.
const (
	Everywhere  Place = iota
	ClusterOnly       // needs a container: an image, a service, a user of its own
)

// Want is what must be seen of a job. Lines are those of the log as a reader
// sees them: without time stamps, section markers and colours.
type Want struct {
	State  standin.State // default: success
	Exit   int
	Reason string

	Lines   []string // whole lines, in this order
	NoLines []string // lines that must not be there
	Says    []string // parts of the log
	Lacks   []string // what must not be in it
	Raw     []string // parts of the log with its markers and colours

	Uploads []Upload

	// Check looks at the rest; its error says what is wrong.
	Check func(w *World, job *standin.Job) error
}

// An Upload is an artifact that must have reached GitLab.
type Upload struct {
	Type     string // default: archive
	Format   string // default: zip
	Filename string
	Content  string   // of a raw or gzip artifact
	Entries  []string // of a zip: what it must hold, directories with a slash at the end
	Lacks    []string // of a zip: what it must not hold
}

// Rows returns the whole table in the order of the report.
func Rows() []Row {
	areas := []struct {
		name string
		rows []Row
	}{
		{"sources", sources},
		{"submodules and LFS", submodules},
		{"variables", variables},
		{"variables the runner adds", predefined},
		{"scripts", scripts},
		{"the log", logs},
		{"after_script", after},
		{"results", results},
		{"images", images},
		{"services", services},
		{"overwrites", overwrites},
		{"artifacts", slices.Concat(artifacts, provenances, meters)},
		{"inputs", inputs},
		{"secrets", secrets},
		{"GitLab's certificate", slices.Concat(certificates, clientCertificates)},
		{"kept pods", kept},
		{"unsupported", unsupported},
	}
	var all []Row
	for _, area := range areas {
		for _, row := range slices.Clone(area.rows) {
			row.Area = area.name
			all = append(all, row)
		}
	}
	return all
}

// failed is the state of a job whose script failed with a code.
func failed(code int, lines ...string) Want {
	return Want{State: standin.Failed, Reason: "script_failure", Exit: code, Lines: lines}
}

// refused is a job that fails for a reason of the runner's, with no script run.
func refused(reason string, says ...string) Want {
	return Want{State: standin.Failed, Reason: reason, Says: append(says, "ERROR: Job failed"), NoLines: []string{"the script ran"}}
}

func prints(lines ...string) Want { return Want{Lines: lines} }

// script is a job of a few commands.
func script(commands ...string) standin.JobSpec { return standin.JobSpec{Script: commands} }

// with is a job of a few commands, with variables.
func with(vars []standin.Variable, commands ...string) standin.JobSpec {
	return standin.JobSpec{Variables: vars, Script: commands}
}

// vars makes variables of keys and values in turn.
func vars(keyValues ...string) []standin.Variable {
	var list []standin.Variable
	for i := 0; i < len(keyValues); i += 2 {
		list = append(list, standin.Variable{Key: keyValues[i], Value: keyValues[i+1], Public: true})
	}
	return list
}

// in is a job in another image.
func in(image string, commands ...string) standin.JobSpec {
	return standin.JobSpec{Image: standin.Image{Name: image}, Script: commands}
}

// theScriptRan is a command of jobs that must not come so far.
const theScriptRan = "echo the script ran"

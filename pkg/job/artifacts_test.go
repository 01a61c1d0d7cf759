package job

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestArtifactsArePlanned(t *testing.T) {
	j := example()
	j.Artifacts = []Artifact{
		{Paths: []string{"$OUT/**"}, Exclude: []string{"**/*.o"}, ExpireIn: "1 week", Type: "archive", Format: "zip"},
		{Name: "nothing"}, // means no file
		{Name: "report", Paths: []string{"junit.xml"}, When: "always", Type: "junit", Format: "gzip"},
		{Untracked: true, When: "sometimes"},
	}
	j.Dependencies = []Dependency{
		{ID: 3, Name: "build", Token: "other-token", Filename: "artifacts.zip", Size: 900},
		{ID: 4, Name: "lint"}, // has left nothing
	}
	j.Variables = append(j.Variables,
		Variable{Key: "ARTIFACT_COMPRESSION_LEVEL", Value: "slow"}, Variable{Key: "ARTIFACT_DOWNLOAD_ATTEMPTS", Value: "4"},
		Variable{Key: "FF_USE_DIRECT_DOWNLOAD", Value: "false"},
	)
	o := options()
	o.APIURL, o.ArtifactUploadTimeout, o.ArtifactResponseTimeout = "https://gitlab.example.com/api/v4/", time.Minute, time.Second
	p, err := Compile(j, o)
	if err != nil {
		t.Fatal(err)
	}
	want := []ArtifactPlan{
		{Name: "artifacts", Paths: []string{"$OUT/**"}, Exclude: []string{"**/*.o"}, When: WhenSuccess, ExpireIn: "1 week", Type: "archive", Format: "zip", Level: "slow"},
		{Name: "report", Paths: []string{"junit.xml"}, When: WhenAlways, Type: "junit", Format: "gzip", Level: "slow"},
		{Name: "artifacts", Untracked: true, When: WhenSuccess, Level: "slow"},
	}
	if diff := cmp.Diff(want, p.Helper.Artifacts); diff != "" {
		t.Errorf("artifacts (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]DependencyPlan{{JobID: 3, Name: "build", Token: "other-token", Size: 900}}, p.Helper.Dependencies); diff != "" {
		t.Errorf("dependencies (-want +got):\n%s", diff)
	}
	server := GitLabPlan{API: o.APIURL, Token: j.Token.Reveal(), UploadTimeout: time.Minute, ResponseTimeout: time.Second, Attempts: 4}
	if diff := cmp.Diff(server, p.Helper.GitLab); diff != "" {
		t.Errorf("GitLab (-want +got):\n%s", diff)
	}
	if !warned(p, `"sometimes"`) {
		t.Errorf("no warning names \"sometimes\": %q", p.Helper.Warnings)
	}
	if !slices.Contains(p.Log.Masks, "other-token") {
		t.Error("the token of a dependency is not masked")
	}
}

func TestWithoutArtifactsNoTokenTravels(t *testing.T) {
	j := example()
	j.Artifacts, j.Dependencies = []Artifact{{Name: "empty"}}, []Dependency{{ID: 4, Name: "lint"}}
	p, err := Compile(j, options())
	if err != nil {
		t.Fatal(err)
	}
	if p.Helper.GitLab != (GitLabPlan{}) || p.Helper.Artifacts != nil || p.Helper.Dependencies != nil {
		t.Errorf("plan has %+v, %+v, %+v, want nothing", p.Helper.GitLab, p.Helper.Artifacts, p.Helper.Dependencies)
	}
}

func TestProvenanceIsPlanned(t *testing.T) {
	compile := func(o Options, a Artifact, more ...Variable) *Plan {
		t.Helper()
		j := example()
		j.Artifacts, j.Variables = []Artifact{a}, append(j.Variables, more...)
		p, err := Compile(j, o)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	archive := Artifact{Paths: []string{"out"}, Type: "archive", Format: "zip"}
	wanted := Variable{Key: "RUNNER_GENERATE_ARTIFACTS_METADATA", Value: "true"}
	id := Variable{Key: "CI_RUNNER_ID", Value: "12"}
	o := options()
	o.RunnerName = "runner of the team"

	want := &ProvenancePlan{
		Source: "https://gitlab.example.com/demo/hello", Commit: "8c1fa0b7", EntryPoint: "unit",
		Parameters: []string{"CERT", "CI_RUNNER_ID", "REGISTRY", "RUNNER_GENERATE_ARTIFACTS_METADATA", "SECRET"},
		Runner:     "runner of the team", RunnerURL: "https://gitlab.example.com/demo/hello/-/runners/12",
		Executor: "kubernetes", Product: "runnerd", Version: "1.2.3",
	}
	p := compile(o, archive, wanted, id)
	if diff := cmp.Diff(want, p.Helper.Provenance); diff != "" || len(p.Helper.Warnings) > 0 {
		t.Errorf("provenance (-want +got):\n%s\nwarnings: %q", diff, p.Helper.Warnings)
	}
	o.RunnerID = 34
	p = compile(o, archive, wanted, id, Variable{Key: "SLSA_PROVENANCE_SCHEMA_VERSION", Value: "v0.2"})
	if got := p.Helper.Provenance.RunnerURL; !strings.HasSuffix(got, "/-/runners/34") {
		t.Errorf("the runner is %s, want the config's", got)
	}
	if !warned(p, "SLSA_PROVENANCE_SCHEMA_VERSION") {
		t.Errorf("no warning of an unknown version: %q", p.Helper.Warnings)
	}
	for name, p := range map[string]*Plan{
		"not asked for": compile(o, archive),
		"no zip":        compile(o, Artifact{Paths: []string{"j.xml"}, Type: "junit", Format: "gzip"}, wanted),
		"no artifact":   compile(o, Artifact{Name: "empty"}, wanted),
	} {
		if p.Helper.Provenance != nil {
			t.Errorf("%s: provenance %+v", name, p.Helper.Provenance)
		}
	}
}

func TestMeterInterval(t *testing.T) {
	for value, want := range map[string]time.Duration{"": 0, "0": 0, "0s": 0, "90s": 90 * time.Second, "1ms": time.Second, "soon": 0, "-1s": 0} {
		j := example()
		j.Variables = append(j.Variables, Variable{Key: "TRANSFER_METER_FREQUENCY", Value: value})
		p, err := Compile(j, options())
		if err != nil {
			t.Fatal(err)
		}
		if p.Helper.Meter != want {
			t.Errorf("%q: every %v, want %v", value, p.Helper.Meter, want)
		}
		if invalid := value == "soon" || value == "-1s"; warned(p, "TRANSFER_METER_FREQUENCY") != invalid {
			t.Errorf("%q: warnings %q", value, p.Helper.Warnings)
		}
	}
}

package job

import (
	"slices"
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
		{ID: 3, Name: "build", Token: "other-token", Filename: "artifacts.zip"},
		{ID: 4, Name: "lint"}, // has left nothing
	}
	j.Variables = append(j.Variables,
		Variable{Key: "ARTIFACT_COMPRESSION_LEVEL", Value: "slow"}, Variable{Key: "ARTIFACT_DOWNLOAD_ATTEMPTS", Value: "4"},
		Variable{Key: "FF_USE_DIRECT_DOWNLOAD", Value: "false"}, Variable{Key: "RUNNER_GENERATE_ARTIFACTS_METADATA", Value: "true"},
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
	if diff := cmp.Diff([]DependencyPlan{{JobID: 3, Name: "build", Token: "other-token"}}, p.Helper.Dependencies); diff != "" {
		t.Errorf("dependencies (-want +got):\n%s", diff)
	}
	server := GitLabPlan{API: o.APIURL, Token: j.Token.Reveal(), UploadTimeout: time.Minute, ResponseTimeout: time.Second, Attempts: 4}
	if diff := cmp.Diff(server, p.Helper.GitLab); diff != "" {
		t.Errorf("GitLab (-want +got):\n%s", diff)
	}
	for _, part := range []string{`"sometimes"`, "RUNNER_GENERATE_ARTIFACTS_METADATA"} {
		if !warned(p, part) {
			t.Errorf("no warning names %s: %q", part, p.Helper.Warnings)
		}
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

package agent_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/runnerd/runnerd/pkg/job"
)

const lfsContent = "a big file\n"

// serveLFS answers Git LFS's batch request, and hands out the one object.
func (s *gitServer) serveLFS(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case strings.HasSuffix(r.URL.Path, "/info/lfs/objects/batch"):
		w.Header().Set("Content-Type", "application/vnd.git-lfs+json")
		fmt.Fprintf(w, `{"transfer":"basic","objects":[{"oid":%q,"size":%d,"actions":{"download":{"href":%q}}}]}`,
			lfsOID(), len(lfsContent), s.url+"/lfs-object")
	case r.URL.Path == "/lfs-object":
		io.WriteString(w, lfsContent)
	default:
		return false
	}
	return true
}

func lfsOID() string {
	sum := sha256.Sum256([]byte(lfsContent))
	return hex.EncodeToString(sum[:])
}

func TestLFS(t *testing.T) {
	t.Parallel()
	s := newGitServer(t)
	pointer := fmt.Sprintf("version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", lfsOID(), len(lfsContent))
	files := map[string]string{"assets/.gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n", "assets/a.bin": pointer}
	sha := s.repo("group/project", files)
	s.repo("group/outer", nil)
	outer := s.commit("group/outer", nil, map[string]string{"module": "group/project"})
	tests := []struct {
		name, file, want string
		sources          job.Sources
		skip             bool
	}{
		{name: "project", file: "assets/a.bin", want: lfsContent, sources: s.sources("group/project", sha)},
		{name: "submodule", file: "module/assets/a.bin", want: lfsContent, sources: s.sources("group/outer", outer)},
		{name: "skipped", file: "assets/a.bin", want: pointer, sources: s.sources("group/project", sha), skip: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPod(t, "true")
			p.helper.Sources = tt.sources
			p.helper.Sources.SkipLFS = tt.skip
			p.helper.Sources.Submodules.Strategy = "normal"
			wantOutcome(t, p.run(), exited(0))
			got, err := os.ReadFile(p.helper.ProjectDir + "/" + tt.file)
			if err != nil || string(got) != tt.want {
				t.Errorf("%s is %q, %v; want %q; log:\n%s", tt.file, got, err, tt.want, p.text())
			}
			if left := grep(t, p.helper.BuildsDir, gitPassword); len(left) > 0 {
				t.Errorf("the password is in %q", left)
			}
		})
	}
}

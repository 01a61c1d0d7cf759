package standin

import (
	"net/http"
	"strings"
)

// storagePath is where the object storage keeps its objects.
const storagePath = "/-/storage/"

// downloadArtifact answers GET /jobs/:id/artifacts, where :id is a dependency
// of the job that runs (14.34).
func (s *Server) downloadArtifact(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	token := c.Header.Get("JOB-TOKEN")
	j, at := s.consumer(c.jobID, token)
	if j == nil {
		s.violate(c, "14.34", "no running job has job %d with this token among its dependencies", c.jobID)
		return refuse(http.StatusForbidden, "Forbidden")
	}
	dep := j.facts.deps[at]
	if dep.File == nil || dep.File.Filename == "" {
		s.violate(c, "14.34", "dependency %q has no file; skip it", dep.Name)
		return refuse(http.StatusNotFound, "Not Found")
	}
	s.checkOrder(c, j, at)
	if c.job == nil || c.job.expired || c.job.archive() == nil {
		return refuse(http.StatusNotFound, "Not Found")
	}
	j.event(EventDownload, int64(len(c.job.archive().Data)), dep.Name)
	s.broadcast()
	archive := c.job.archive()
	if c.URL.Query().Get("direct_download") == "true" && s.storageURL != "" {
		key := randomHex(16)
		s.objects[key] = archive.Data
		return answer{status: http.StatusFound}.with("Location",
			s.storageURL+storagePath+key+"?X-Amz-Expires=600&X-Amz-Signature="+randomHex(16))
	}
	return answer{status: http.StatusOK, body: archive.Data}.
		with("Content-Type", "application/zip").
		with("Content-Disposition", `attachment; filename="`+archive.Filename+`"`)
}

// consumer finds the running job that has the dependency, and at which place.
func (s *Server) consumer(dep int64, token string) (*Job, int) {
	for _, j := range s.jobs {
		if j.state != Running && j.state != Canceling {
			continue
		}
		for i, d := range j.facts.deps {
			if d.ID == dep && d.Token == token {
				return j, i
			}
		}
	}
	return nil, 0
}

// checkOrder checks that dependencies are asked for in their order. Going back
// is allowed: the whole stage may be tried again.
func (s *Server) checkOrder(c *call, j *Job, at int) {
	place := 0 // among those that have a file
	for _, d := range j.facts.deps[:at] {
		if d.File != nil && d.File.Filename != "" {
			place++
		}
	}
	if place > j.downloads {
		s.violate(c, "14.34", "dependency %q is asked for before those in front of it", j.facts.deps[at].Name)
	}
	j.downloads = max(j.downloads, place+1)
}

// serveObject is the object storage: pre-signed URLs, no GitLab credentials.
func (s *Server) serveObject(c *call) answer {
	for _, h := range []string{"JOB-TOKEN", "RUNNER-TOKEN", "PRIVATE-TOKEN", "Authorization"} {
		if c.Header.Get(h) != "" {
			s.violate(c, "14.34", "header %s is sent to the object storage", h)
		}
	}
	s.mu.Lock()
	data, ok := s.objects[c.URL.Path[strings.LastIndexByte(c.URL.Path, '/')+1:]]
	s.mu.Unlock()
	switch {
	case !ok:
		return refuse(http.StatusNotFound, "Not Found")
	case c.URL.Query().Get("X-Amz-Signature") == "":
		return refuse(http.StatusForbidden, "Forbidden")
	}
	return answer{status: http.StatusOK, body: data}.with("Content-Type", "application/zip")
}

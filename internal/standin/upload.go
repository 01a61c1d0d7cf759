package standin

import (
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
)

// An Upload is an artifact as it is stored.
type Upload struct {
	Filename string
	Type     string // archive, junit, …
	Format   string // zip, gzip, raw
	ExpireIn string
	Data     []byte
}

// AddArchive gives the job an archive, as if it had uploaded one: for jobs
// that others depend on.
func (j *Job) AddArchive(filename string, data []byte) {
	j.server.mu.Lock()
	defer j.server.mu.Unlock()
	j.uploads = append(j.uploads, Upload{Filename: filename, Type: "archive", Format: "zip", Data: data})
}

// ExpireArtifacts makes the job's artifacts expire: downloads get 404.
func (j *Job) ExpireArtifacts() {
	j.server.mu.Lock()
	defer j.server.mu.Unlock()
	j.expired = true
}

// archive returns the job's archive, or nil. server.mu is held.
func (j *Job) archive() *Upload {
	for i := range j.uploads {
		if j.uploads[i].Type == "archive" {
			return &j.uploads[i]
		}
	}
	return nil
}

// uploadArtifact answers POST /jobs/:id/artifacts (14.32).
func (s *Server) uploadArtifact(c *call) answer {
	s.mu.Lock()
	j, refused, ok := s.authorizeJob(c, c.Header.Get("JOB-TOKEN"))
	s.mu.Unlock()
	if !ok {
		_, _ = io.Copy(io.Discard, io.LimitReader(c.Body, maxBody)) // so that the client gets to read the answer
		return refused
	}
	query := c.URL.Query()
	u := Upload{
		Type:     orDefault(query.Get("artifact_type"), "archive"),
		Format:   orDefault(query.Get("artifact_format"), "zip"),
		ExpireIn: query.Get("expire_in"),
	}
	for key, values := range query {
		if slices.Contains(values, "") {
			s.violate(c, "14.32", "query parameter %s is empty; leave it out", key)
		}
	}
	if err := s.readFile(c, &u); err != nil {
		switch {
		case errors.Is(err, errTooLarge):
			return refuse(http.StatusRequestEntityTooLarge, "Request Entity Too Large")
		case errors.Is(err, errForm):
			s.violate(c, "14.32", "%v", err)
			return *badRequest(err.Error())
		default:
			return answer{cut: true} // the client hung up in the middle
		}
	}
	if formats[u.Type] != u.Format {
		s.violate(c, "14.32", "artifact_type %q with artifact_format %q; GitLab wants %q", u.Type, u.Format, formats[u.Type])
		return *badRequest("invalid artifact type or format")
	}
	for _, problem := range checkArtifact(u) {
		s.violate(c, "14.32", "%s: %s", u.Filename, problem)
	}
	if u.Type == "dotenv" && !validDotenv(u.Data) {
		return *badRequest("Invalid dotenv file")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return j.store(u)
}

// store keeps an artifact. The same content again is no error, another one of
// the same type is.
func (j *Job) store(u Upload) answer {
	if j.state != Running && j.state != Canceling {
		return j.with(refuse(http.StatusForbidden, "Forbidden - Job is not running"))
	}
	for _, old := range j.uploads {
		if old.Type != u.Type {
			continue
		}
		if sha256.Sum256(old.Data) == sha256.Sum256(u.Data) {
			return j.with(plain(http.StatusCreated))
		}
		return j.with(*badRequest("another artifact of the same type already exists"))
	}
	j.uploads = append(j.uploads, u)
	j.event(EventUpload, int64(len(u.Data)), u.Type)
	return j.with(plain(http.StatusCreated))
}

var (
	errForm     = errors.New("body is not a form with one file")
	errTooLarge = errors.New("artifact is too large")
)

// readFile reads the one part of the form.
func (s *Server) readFile(c *call, u *Upload) error {
	form, err := c.MultipartReader()
	if err != nil {
		return errors.Join(errForm, err)
	}
	part, err := form.NextPart()
	if err != nil {
		return errors.Join(errForm, err)
	}
	if part.FormName() != "file" || part.FileName() == "" {
		return errors.Join(errForm, errors.New("the part is named "+part.FormName()+", want a file named \"file\""))
	}
	u.Filename = part.FileName()
	u.Data, err = io.ReadAll(io.LimitReader(part, s.opts.ArtifactLimit+1))
	if err != nil {
		return err
	}
	if int64(len(u.Data)) > s.opts.ArtifactLimit {
		_, _ = io.Copy(io.Discard, io.LimitReader(c.Body, maxBody))
		return errTooLarge
	}
	if _, err := form.NextPart(); err == nil {
		return errors.Join(errForm, errors.New("there is a second part"))
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// authorizeUpload is Workhorse's own endpoint (14.35).
func (s *Server) authorizeUpload(c *call) answer {
	s.violate(c, "14.35", "artifacts/authorize is not for clients")
	return refuse(http.StatusForbidden, "Forbidden")
}

// formats are the formats of the artifact types (6.2).
var formats = func() map[string]string {
	m := map[string]string{}
	for format, types := range map[string]string{
		"zip": "archive lsif scip",
		"gzip": "metadata junit metrics metrics_referee network_referee dotenv cobertura jacoco cluster_applications " +
			"cyclonedx annotations repository_xray",
		"raw": "trace sast secret_detection dependency_scanning container_scanning cluster_image_scanning dast " +
			"license_scanning accessibility codequality performance browser_performance load_performance terraform " +
			"requirements requirements_v2 coverage_fuzzing api_fuzzing sarif",
	} {
		for _, t := range strings.Fields(types) {
			m[t] = format
		}
	}
	return m
}()

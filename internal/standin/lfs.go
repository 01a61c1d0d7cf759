package standin

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// lfsMedia is the media type of everything that Git LFS says about objects.
const lfsMedia = "application/vnd.git-lfs+json"

// AddLFS adds a commit with a file that lies in Git LFS: the branch gets a
// pointer and an entry in .gitattributes, the server keeps the content.
func (r *Repository) AddLFS(branch, name, content string) (string, error) {
	sum := sha256.Sum256([]byte(content))
	oid := hex.EncodeToString(sum[:])
	r.server.mu.Lock()
	if r.lfs == nil {
		r.lfs = map[string][]byte{}
	}
	r.lfs[oid] = []byte(content)
	r.server.mu.Unlock()
	attributes := r.show(branch, ".gitattributes")
	return r.Commit(branch, map[string]string{
		name:             fmt.Sprintf("version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", oid, len(content)),
		".gitattributes": strings.TrimLeft(attributes+"\n", "\n") + name + " filter=lfs diff=lfs merge=lfs -text\n",
	})
}

// lfsBatch is the body of a batch request.
type lfsBatch struct {
	Operation string      `json:"operation"`
	Transfers []string    `json:"transfers"`
	HashAlgo  string      `json:"hash_algo"`
	Objects   []lfsObject `json:"objects"`
}

type lfsObject struct {
	OID           string               `json:"oid"`
	Size          int64                `json:"size"`
	Authenticated bool                 `json:"authenticated,omitempty"`
	Actions       map[string]lfsAction `json:"actions,omitempty"`
	Error         *lfsError            `json:"error,omitempty"`
}

type lfsAction struct {
	Href   string            `json:"href"`
	Header map[string]string `json:"header,omitempty"`
}

type lfsError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// serveLFS answers what lies below <repository>.git/info/lfs and
// <repository>.git/gitlab-lfs. The caller has checked who asks.
func (s *Server) serveLFS(c *call, r *Repository, file string) answer {
	if oid, ok := strings.CutPrefix(file, "gitlab-lfs/objects/"); ok && c.Method == http.MethodGet {
		return s.lfsContent(r, oid)
	}
	switch {
	case file == "info/lfs/objects/batch" && c.Method == http.MethodPost:
		return s.lfsBatch(c, r)
	case strings.HasPrefix(file, "info/lfs/locks"):
		return lfsRefuse(http.StatusForbidden, "a job token may not lock files")
	}
	return lfsRefuse(http.StatusNotFound, "there is no such LFS endpoint")
}

var lfsOID = regexp.MustCompile(`^[0-9a-f]{64}$`)

// lfsBatch says where to get objects. It is as strict as the API's document.
func (s *Server) lfsBatch(c *call, r *Repository) answer {
	media, _, _ := strings.Cut(c.Header.Get("Content-Type"), ";")
	accept, _, _ := strings.Cut(c.Header.Get("Accept"), ";")
	var b lfsBatch
	err := json.NewDecoder(io.LimitReader(c.Body, maxBody)).Decode(&b)
	switch {
	case media != lfsMedia || accept != lfsMedia:
		return lfsRefuse(http.StatusNotAcceptable, "Accept and Content-Type must be "+lfsMedia)
	case err != nil:
		return lfsRefuse(http.StatusUnprocessableEntity, "the body is no batch request: "+err.Error())
	case b.Operation == "upload":
		return lfsRefuse(http.StatusForbidden, "a job token may not push")
	case b.Operation != "download":
		return lfsRefuse(http.StatusUnprocessableEntity, fmt.Sprintf("operation %q", b.Operation))
	case b.Transfers != nil && !slices.Contains(b.Transfers, "basic"):
		return lfsRefuse(http.StatusUnprocessableEntity, "the only transfer is basic")
	case b.HashAlgo != "" && b.HashAlgo != "sha256":
		return lfsRefuse(http.StatusConflict, "the only hash algorithm is sha256")
	case len(b.Objects) == 0:
		return lfsRefuse(http.StatusUnprocessableEntity, "no objects")
	}
	for i := range b.Objects {
		s.lfsResolve(c, r, &b.Objects[i])
	}
	return lfsAnswer(http.StatusOK, map[string]any{"transfer": "basic", "hash_algo": "sha256", "objects": b.Objects})
}

// lfsResolve fills in where an object lies, or why there is none.
func (s *Server) lfsResolve(c *call, r *Repository, o *lfsObject) {
	s.mu.Lock()
	data, found := r.lfs[o.OID]
	s.mu.Unlock()
	switch {
	case !lfsOID.MatchString(o.OID) || o.Size < 0:
		o.Error = &lfsError{http.StatusUnprocessableEntity, "Invalid object"}
	case !found:
		o.Error = &lfsError{http.StatusNotFound, "Object does not exist on the server or you don't have permissions to access it"}
	case int64(len(data)) != o.Size:
		o.Error = &lfsError{http.StatusUnprocessableEntity, fmt.Sprintf("the object has %d bytes", len(data))}
	default:
		o.Authenticated = true
		o.Actions = map[string]lfsAction{"download": {
			Href:   s.base(c.Request) + "/" + r.path + ".git/gitlab-lfs/objects/" + o.OID,
			Header: map[string]string{"Authorization": c.Header.Get("Authorization")},
		}}
	}
}

func (s *Server) lfsContent(r *Repository, oid string) answer {
	s.mu.Lock()
	data, found := r.lfs[oid]
	s.mu.Unlock()
	if !found {
		return plain(http.StatusNotFound)
	}
	return answer{status: http.StatusOK, body: data}.with("Content-Type", "application/octet-stream")
}

func lfsRefuse(status int, message string) answer {
	return lfsAnswer(status, map[string]string{"message": message})
}

func lfsAnswer(status int, v any) answer {
	return jsonAnswer(status, v).with("Content-Type", lfsMedia)
}

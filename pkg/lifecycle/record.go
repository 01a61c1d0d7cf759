package lifecycle

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/job"
)

// recordVersion is the version of a job's record. A daemon leaves a record of a
// newer version alone, and has to be able to read every older one: fields are
// added, and what a missing one means is what older daemons did. The version grows
// when an older daemon would do the wrong thing with a newer record.
const recordVersion = 1

// A recordHead is the beginning of a job's record.
type recordHead struct {
	Version     int               `json:"version"`
	PlanVersion int               `json:"plan_version"`
	Received    time.Time         `json:"received"` // when the job's timeout began
	Job         *job.Job          `json:"job"`
	Plan        *job.Plan         `json:"plan"`
	Secrets     map[string]string `json:"secrets"` // of Job and Plan, which do not show them
	Log         piece             `json:"log"`     // up to the pod's first byte
}

// An ending is how a job has ended.
type ending struct {
	job.Outcome
	Kept bool `json:"kept,omitempty"` // what it ran in stays for people to look into
}

// errNewer says that a record is of a newer version of runnerd.
var errNewer = errors.New("it was written by a newer version of runnerd")

func (h *recordHead) encode() ([]byte, error) {
	h.Version, h.PlanVersion = recordVersion, job.PlanVersion
	h.Secrets = job.Reveal(h)
	return pack(h)
}

// A past is what a record says of a job.
type past struct {
	recordHead
	pieces  []piece
	earlier []string // what the job was begun anew for
	fact             // of all pieces together
	endAt   int64    // bytes of the pod before the end
	next    int      // number of the next entry
}

// pastOf reads a record.
func pastOf(r executor.Record) (*past, error) {
	p := &past{}
	if err := unpack(r.Begin, &p.recordHead); err != nil {
		return nil, err
	}
	switch {
	case p.Version > recordVersion || p.PlanVersion > job.PlanVersion:
		return nil, errNewer
	case p.Version < 1 || p.Job == nil || p.Plan == nil:
		return nil, errors.New("it holds no job")
	}
	if err := job.Conceal(&p.recordHead, p.Secrets); err != nil {
		return nil, err
	}
	p.pieces = []piece{p.Log}
	for _, name := range slices.Sorted(maps.Keys(r.More)) {
		var next piece
		if err := unpack(r.More[name], &next); err != nil {
			return nil, fmt.Errorf("entry %s: %w", name, err)
		}
		p.add(next)
	}
	p.next = len(r.More)
	return p, nil
}

func (p *past) add(next piece) {
	if next.Anew != "" {
		p.earlier = append(p.earlier, next.Anew)
		p.pieces, p.fact = nil, fact{}
	}
	p.pieces = append(p.pieces, next)
	for n, at := range next.Marks {
		if p.Marks == nil {
			p.Marks = map[int]string{}
		}
		p.Marks[n] = at
	}
	p.Told = append(p.Told, next.Told...)
	if next.End != nil {
		p.End, p.endAt = next.End, next.At
	}
}

// entryName names the n-th entry of a record; names sort as the numbers do.
func entryName(n int) string { return fmt.Sprintf("%06d", n) }

func pack(v any) ([]byte, error) {
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	err := json.NewEncoder(zip).Encode(v)
	if err = errors.Join(err, zip.Close()); err != nil {
		return nil, fmt.Errorf("write record: %w", err)
	}
	return out.Bytes(), nil
}

func unpack(data []byte, v any) error {
	zip, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("read record: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(zip, maxRecord))
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		return fmt.Errorf("read record: %w", err)
	}
	return nil
}

// maxRecord bounds what a damaged record can take when it is unpacked.
const maxRecord = 256 << 20

package gitlab

import (
	"bytes"
	"encoding/json"

	"github.com/runnerd/runnerd/pkg/job"
)

// salvage looks for the job's id and token in a payload that cannot be read as
// a whole: one that broke off, or one with a value of a wrong type.
func salvage(body []byte) (job.Credentials, bool) {
	var id number
	var token text
	in := json.NewDecoder(bytes.NewReader(body))
	if first, err := in.Token(); err != nil || first != json.Delim('{') {
		return job.Credentials{}, false
	}
	for id == 0 || token == "" {
		key, err := in.Token()
		if err != nil {
			break
		}
		var value json.RawMessage
		if err := in.Decode(&value); err != nil {
			break
		}
		// A value of a wrong type leaves the variable at its zero value.
		switch key {
		case "id":
			_ = json.Unmarshal(value, &id)
		case "token":
			_ = json.Unmarshal(value, &token)
		}
	}
	who := job.Credentials{ID: id.int(), Token: job.Secret(token)}
	return who, who.ID > 0 && who.Token != ""
}

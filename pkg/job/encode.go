package job

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
)

// The names of the plan's files, as the agent reads them.
const (
	HelperPlanFile = "helper.json.gz"
	BuildPlanFile  = "build.json.gz"
)

// EncodePlan returns v, a HelperPlan or a BuildPlan, as the agent reads it:
// JSON, compressed with gzip.
func EncodePlan(v any) ([]byte, error) {
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	if err := json.NewEncoder(zip).Encode(v); err != nil {
		return nil, fmt.Errorf("encode plan: %w", err)
	}
	if err := zip.Close(); err != nil {
		return nil, fmt.Errorf("encode plan: %w", err)
	}
	return out.Bytes(), nil
}

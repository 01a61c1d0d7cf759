package tree_test

import (
	"strings"
	"testing"

	"github.com/runnerd/runnerd/pkg/cache/archive"
	"github.com/runnerd/runnerd/pkg/cache/archive/tree"
)

func TestDecide(t *testing.T) {
	base := tree.Totals{Raw: 1000, Entries: 100}
	quarter := tree.Totals{Raw: 250, Entries: 25}
	moreBytes, moreEntries := tree.Totals{Raw: 251, Entries: 25}, tree.Totals{Raw: 250, Entries: 26}
	none := &tree.Changes{Base: base, Delta: quarter}
	some := func(superseded, delta tree.Totals) *tree.Changes {
		return &tree.Changes{Base: base, Superseded: superseded, Delta: delta, Changed: 2, Deleted: 1}
	}
	long := &tree.Changes{Base: base, Deleted: 2, Whiteouts: []string{strings.Repeat("a", archive.MaxControl/2), strings.Repeat("b", archive.MaxControl/2)}}
	tests := []struct {
		name      string
		situation tree.Situation
		push      tree.Push
		reason    string
	}{
		{"no restore", tree.Situation{}, tree.Full, "nothing to compare"},
		{"nothing has changed", tree.Situation{Changes: none}, tree.Skip, "nothing has changed"},
		{"nothing has changed, but the key is another", tree.Situation{Changes: none, Fallback: true}, tree.Full, "fallback"},
		{"nothing has changed, but the base is old", tree.Situation{Changes: none, Renew: true}, tree.Full, "renewed"},
		{"little has changed", tree.Situation{Changes: some(quarter, quarter)}, tree.Delta, "2 changed, 0 added, 1 deleted"},
		{"little has changed, but the key is another", tree.Situation{Changes: some(quarter, quarter), Fallback: true}, tree.Full, "fallback"},
		{"little has changed, but the base is old", tree.Situation{Changes: some(quarter, quarter), Renew: true}, tree.Full, "renewed"},
		{"too many bytes superseded", tree.Situation{Changes: some(moreBytes, quarter)}, tree.Full, "more than 25%"},
		{"too many entries superseded", tree.Situation{Changes: some(moreEntries, quarter)}, tree.Full, "more than 25%"},
		{"too many bytes to send", tree.Situation{Changes: some(quarter, moreBytes)}, tree.Full, "more than 25%"},
		{"too many entries to send", tree.Situation{Changes: some(quarter, moreEntries)}, tree.Full, "more than 25%"},
		{"the list of deleted files is too long", tree.Situation{Changes: long}, tree.Full, "2 deleted"},
		{"the base was empty", tree.Situation{Changes: &tree.Changes{Added: 1, Delta: tree.Totals{Raw: 1, Entries: 1}}}, tree.Full, "more than 25%"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := tree.Decide(tt.situation)
			if got.Push != tt.push || !strings.Contains(got.Reason, tt.reason) {
				t.Errorf("Decide = %v (%s), want %v (%s)", got.Push, got.Reason, tt.push, tt.reason)
			}
		})
	}
}

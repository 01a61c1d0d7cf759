package chaos_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/runnerd/runnerd/test/chaos"
)

func TestPlanFollowsFromTheSeed(t *testing.T) {
	if a, b := chaos.New(7, 200, 2), chaos.New(7, 200, 2); !reflect.DeepEqual(a, b) {
		t.Errorf("two plans of one seed differ:\n%+v\n%+v", a, b)
	}
	if a, b := chaos.New(7, 200, 2), chaos.New(8, 200, 2); reflect.DeepEqual(a.Faults, b.Faults) {
		t.Error("two seeds have the same faults")
	}
}

func TestPlanHasEveryKind(t *testing.T) {
	for _, replicas := range []int{1, 2} {
		for _, jobs := range []int{30, 200} {
			p, seen, last := chaos.New(1, jobs, replicas), map[chaos.Kind]int{}, 0
			for _, f := range p.Faults {
				seen[f.Kind]++
				if f.Job < last || f.Job >= jobs || f.Line < 1 || f.Line > p.Jobs[f.Job].Lines() || f.Replica >= replicas {
					t.Errorf("fault is behind its time, or at a place that is not there: %+v", f)
				}
				last = f.Job
			}
			alone := seen[chaos.KillAll] + seen[chaos.Lose]
			if replicas == 1 && (len(seen) != 15 || alone != 0) || replicas == 2 && len(seen) != 17 {
				t.Errorf("%d replicas, %d jobs: faults %v", replicas, jobs, seen)
			}
		}
	}
}

func TestCheck(t *testing.T) {
	j := chaos.Job{Number: 3, Batches: 2, Batch: 2}
	whole := "Running\n" + j.Output() + "Job succeeded\n"
	lines := slices.Collect(strings.Lines(whole))
	join := func(l ...string) string { return strings.Join(l, "") }
	for _, tt := range []struct {
		name, text string
		cut        bool
		right      int
		wrong      string
	}{
		{"whole", whole, false, 4, ""},
		{"a line is missing", join(lines[0], lines[1], lines[3], lines[4]), false, 1, `"job 3 line 3", want "job 3 line 2"`},
		{"a line is double", join(lines[0], lines[1], lines[1], lines[2]), false, 1, `"job 3 line 1", want "job 3 line 2"`},
		{"the end is missing", join(lines[:3]...), false, 2, "end with number 2, want 4"},
		{"the end is missing, and may be", join(lines[:3]...), true, 2, ""},
		{"another job's line", join(lines[1], "job 4 line 2\n"), true, 1, `"job 4 line 2", want "job 3 line 2"`},
		{"too many", whole + lines[4], true, 4, "behind the last"},
	} {
		right, err := j.Check(tt.text, tt.cut)
		if right != tt.right || (err == nil) != (tt.wrong == "") || err != nil && !strings.Contains(err.Error(), tt.wrong) {
			t.Errorf("%s: %d lines, error %v; want %d, %q", tt.name, right, err, tt.right, tt.wrong)
		}
	}
}

func TestReport(t *testing.T) {
	p := chaos.New(1, 30, 1)
	r := chaos.Report{Plan: p, Rows: []chaos.Row{{Fault: p.Faults[0], Moment: "job 1, line 2", Jobs: 3}, {Fault: p.Faults[1], Missed: "all jobs were over"}}}
	text := r.String()
	for _, want := range []string{"seed 1, 30 jobs", "1 faults of 2", "job 1, line 2", "all jobs were over"} {
		if !strings.Contains(text, want) {
			t.Errorf("the report does not say %q:\n%s", want, text)
		}
	}
}

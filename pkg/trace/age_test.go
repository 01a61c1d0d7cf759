package trace

import (
	"testing"
	"time"
)

func TestAges(t *testing.T) {
	start := time.Unix(1000, 0)
	at := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
	var a ages
	if got := a.took(0, 5, at(0)); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
	a.came(0, at(0))
	a.came(3, at(0.05)) // as good as at once
	a.came(10, at(2))
	a.came(20, at(4))
	for _, step := range []struct {
		from, to int64
		now      float64
		want     time.Duration
	}{
		{0, 5, 5, 5 * time.Second},
		{5, 10, 6, 6 * time.Second},
		{10, 15, 6, 4 * time.Second},
		{15, 30, 7, 5 * time.Second},
	} {
		if got := a.took(step.from, step.to, at(step.now)); got != step.want {
			t.Errorf("bytes %d to %d at %vs have waited %v, want %v", step.from, step.to, step.now, got, step.want)
		}
	}
	a.came(30, at(60))
	if got := a.took(30, 31, at(61)); got != time.Second {
		t.Errorf("after a pause: %v", got)
	}
}

// TestAgesAreBounded: however long GitLab is away, the first byte's age is kept.
func TestAgesAreBounded(t *testing.T) {
	start := time.Unix(1000, 0)
	var a ages
	for i := range 100_000 {
		a.came(int64(i), start.Add(time.Duration(i)*time.Second))
		if len(a.marks) > maxMarks {
			t.Fatalf("%d marks", len(a.marks))
		}
	}
	if got := a.took(0, 1, start.Add(100_000*time.Second)); got != 100_000*time.Second {
		t.Errorf("the first byte has waited %v", got)
	}
}

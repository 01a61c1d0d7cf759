package config

import (
	"testing"
	"time"
)

func TestParseLifetime(t *testing.T) {
	const day = 24 * time.Hour
	tests := []struct {
		text string
		want time.Duration
		bad  bool
	}{
		{text: "", want: 0},
		{text: "0", want: 0},
		{text: "30d", want: 30 * day},
		{text: "2w", want: 14 * day},
		{text: "1w3d12h", want: 10*day + 12*time.Hour},
		{text: " 7d ", want: 7 * day},
		{text: "720h", want: 30 * day},
		{text: "90m", want: 90 * time.Minute},
		{text: "30", bad: true},
		{text: "d", bad: true},
		{text: "30 days", bad: true},
		{text: "1d2w", bad: true},
		{text: "-30d", bad: true},
		{text: "-720h", bad: true},
		{text: "123456d", bad: true},
	}
	for _, tt := range tests {
		got, ok := ParseLifetime(tt.text)
		if ok == tt.bad || !tt.bad && got != tt.want {
			t.Errorf("ParseLifetime(%q) = %v, %v, want %v, %v", tt.text, got, ok, tt.want, !tt.bad)
		}
	}
	if got, _ := ParseLifetime("9999w9999d2562047h"); got <= 0 {
		t.Errorf("the longest text is %v: it overflows", got)
	}
}

func TestLifetimeDays(t *testing.T) {
	for l, want := range map[Lifetime]int{0: 0, Lifetime(time.Hour): 1, Lifetime(24 * time.Hour): 1, Lifetime(25 * time.Hour): 2, Lifetime(720 * time.Hour): 30} {
		if got := l.Days(); got != want {
			t.Errorf("Lifetime(%v).Days() = %d, want %d", l.Duration(), got, want)
		}
	}
}

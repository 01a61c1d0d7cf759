package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// A target is what an operation of ours may take, as a share of another one's.
type target struct {
	id, ours, reference string
	most                float64
	value               func(sample) float64
	unit                string
}

// steps are what it compares.
func (t target) steps() []string {
	if t.reference == "" {
		return []string{t.ours}
	}
	return []string{t.ours, t.reference}
}

const mib = 1 << 20

// What counts against other programs is all of the process; against another
// operation of ours, which is done by an agent that runs anyway, itself alone.
func process(s sample) float64   { return s.seconds }
func operation(s sample) float64 { return s.Seconds }
func sent(s sample) float64      { return float64(s.Bytes) }
func memory(s sample) float64    { return float64(s.Memory) / mib }

// targets are those of the cache's design.
var targets = []target{
	{"T1", "archive", "tar|zstd-1", 1.40, process, "s"},
	{"T2", "archive", "zip", 0.65, process, "s"},
	{"T3", "push", "tar|zstd-3>PUT", 0.85, process, "s"},
	{"T4", "push", "zip>PUT", 0.70, process, "s"},
	{"T5", "push, shaped", "tar|zstd-3>PUT, shaped", 0.55, process, "s"},
	{"T6", "push, shaped", "zip>PUT, shaped", 0.42, process, "s"},
	{"T7", "restore", "curl|zstd|tar", 0.95, process, "s"},
	{"T8", "restore", "zip restore", 0.75, process, "s"},
	{"T9", "restore, shaped", "curl|zstd|tar, shaped", 0.35, process, "s"},
	{"T10", "push same", "push", 0.12, operation, "s"},
	{"T11", "push 1%", "push", 0.12, operation, "s"},
	{"T11 bytes", "push 1%", "push", 0.005, sent, "B"},
	{"T12", "push recreated", "push", 0.20, operation, "s"},
	{"T13", "restore delta", "restore", 1.15, operation, "s"},
	{"T14", "archive", "tar|zstd-1 bytes", 1.03, sent, "B"},
	{"T15", "restore", "restore plain", 1.15, operation, "s"},
	{"T16 push", "push", "", 192, memory, "MiB"},
	{"T16 restore", "restore", "", 192, memory, "MiB"},
}

// report prints the table and returns the targets that were missed. Ratios are
// the median of each round's: both sides of one have run in the same minute.
func (b *bench) report() ([]string, error) {
	var out strings.Builder
	var missed []string
	fmt.Fprintln(&out, "| target | ours | reference | ours | reference | ratio | at most | |")
	fmt.Fprintln(&out, "| --- | --- | --- | --- | --- | --- | --- | --- |")
	for _, t := range targets {
		samples := b.latest(t.steps()...)
		if samples == nil {
			continue
		}
		left := values(samples[t.ours], t.value)
		ratio, right := median(left), "–"
		if t.reference != "" {
			others := values(samples[t.reference], t.value)
			right = show(median(others), t.unit)
			var ratios []float64
			for i := range left {
				ratios = append(ratios, left[i]/others[i])
			}
			ratio = median(ratios)
		}
		verdict := "met"
		if ratio > t.most {
			verdict = "**missed**"
			missed = append(missed, t.id)
		}
		fmt.Fprintf(&out, "| %s | %s | %s | %s | %s | %.3g | %.3g | %s |\n",
			t.id, cell(t.ours), cell(t.reference), show(median(left), t.unit), right, ratio, t.most, verdict)
	}
	fmt.Fprintf(&out, "\n%s", b.costs())
	fmt.Print("\n", out.String(), "\n")
	if b.out == "" {
		return missed, nil
	}
	return missed, os.WriteFile(b.out, []byte(out.String()), 0o644)
}

// cell writes a bar so that a table keeps its columns.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

func show(v float64, unit string) string {
	if unit == "B" {
		return fmt.Sprintf("%.2f MB", v/1e6)
	}
	return fmt.Sprintf("%.2f %s", v, unit)
}

func values(list []sample, of func(sample) float64) []float64 {
	var out []float64
	for _, s := range list {
		out = append(out, of(s))
	}
	return out
}

func median(list []float64) float64 {
	sorted := slices.Sorted(slices.Values(list))
	if n := len(sorted); n%2 == 0 {
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[len(sorted)/2]
}

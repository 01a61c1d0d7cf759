package main

import (
	"fmt"
	"strings"
)

// costs is the table of what each operation has taken, in the order in which
// they are listed.
func (b *bench) costs() string {
	var out strings.Builder
	fmt.Fprintln(&out, "| operation | wall | CPU | resident at the peak | bytes |")
	fmt.Fprintln(&out, "| --- | --- | --- | --- | --- |")
	for _, s := range b.steps() {
		list := b.samples[s.name]
		if len(list) == 0 {
			continue
		}
		bytes := "" // a reference does not say
		if n := median(values(list, sent)); n > 0 {
			bytes = show(n, "B")
		}
		fmt.Fprintf(&out, "| %s | %s | %s | %s | %s |\n", cell(s.name), show(median(values(list, process)), "s"),
			show(median(values(list, func(s sample) float64 { return s.cpu })), "s"), show(median(values(list, memory)), "MiB"), bytes)
	}
	return out.String()
}

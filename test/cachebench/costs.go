package main

import (
	"fmt"
	"strings"
)

// costs is the table of what each operation has taken: itself where it says so,
// else the processes that it consists of.
func (b *bench) costs() string {
	var out strings.Builder
	fmt.Fprintln(&out, "| operation | wall | CPU | resident at the peak | bytes |")
	fmt.Fprintln(&out, "| --- | --- | --- | --- | --- |")
	for _, s := range b.steps() {
		list := b.latest(s.name)[s.name]
		if len(list) == 0 {
			continue
		}
		bytes := "" // a reference does not say
		if n := median(values(list, sent)); n > 0 {
			bytes = show(n, "B")
		}
		fmt.Fprintf(&out, "| %s | %s | %s | %s | %s |\n", cell(s.name), show(median(values(list, wall)), "s"),
			show(median(values(list, processors)), "s"), show(median(values(list, memory)), "MiB"), bytes)
	}
	return out.String()
}

func wall(s sample) float64 {
	if s.Seconds > 0 {
		return s.Seconds
	}
	return s.seconds
}

func processors(s sample) float64 {
	if s.CPU > 0 {
		return s.CPU
	}
	return s.cpu
}

package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// A Row is what became of one fault.
type Row struct {
	Fault     Fault
	Moment    string        // where it really was
	Missed    string        // why it was left out; empty: it happened
	Lasted    time.Duration // until whatever was broken was whole again
	Jobs      int           // that ran at that time, and that it was about
	Hits      int           // requests to GitLab that it has spoilt
	Recovered time.Duration // from its begin until GitLab had heard anew of all of them
}

// A Report is what became of a run.
type Report struct {
	Plan    Plan
	Took    time.Duration
	Rows    []Row
	Right   int // jobs with their exact log and result
	Anew    int // of those, by another pod than their first
	Cut     int // jobs whose pod was deleted in mid-script, and that failed with what they had printed
	Stopped int // the same of jobs whose pod the kubelet has stopped after a fault of the node
	Lost    int // jobs that only GitLab knew of when a replica was killed
	GivenUp int // jobs without a pod yet when their replica ended, reported as interrupted
	Bytes   int // of all logs
}

func (r Report) String() string {
	var b strings.Builder
	happened := 0
	for _, row := range r.Rows {
		if row.Missed == "" {
			happened++
		}
	}
	fmt.Fprintf(&b, "chaos: seed %d, %d jobs (%.1f MB of log), %d replicas, %d faults of %d in %s\n",
		r.Plan.Seed, len(r.Plan.Jobs), float64(r.Bytes)/1e6, r.Plan.Replicas, happened, len(r.Rows), r.Took.Round(time.Second))
	table(&b, "#\tfault\tmoment\tlasted\tjobs\trequests\trecovered", func(w *tabwriter.Writer) {
		for i, row := range r.Rows {
			if row.Missed != "" {
				fmt.Fprintf(w, "%d\t%s\t%s\t\t\t\t\n", i+1, row.Fault.Kind, row.Missed)
				continue
			}
			requests := ""
			if row.Hits > 0 {
				requests = fmt.Sprint(row.Hits)
			}
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%d\t%s\t%s\n", i+1, row.Fault.Kind, row.Moment, seconds(row.Lasted), row.Jobs, requests, seconds(row.Recovered))
		}
	})
	b.WriteString("\n" + r.Summary())
	fmt.Fprintf(&b, "\njobs: %d exact, %d of them in another pod than their first; %d cut off with their deleted pods; %d stopped by the kubelet; %d lost between GitLab and the record; %d interrupted before they had a pod\n",
		r.Right, r.Anew, r.Cut, r.Stopped, r.Lost, r.GivenUp)
	return b.String()
}

// Summary is a table with a row for each kind of fault.
func (r Report) Summary() string {
	kinds := map[Kind][]Row{}
	for _, row := range r.Rows {
		if row.Missed == "" {
			kinds[row.Fault.Kind] = append(kinds[row.Fault.Kind], row)
		}
	}
	var b strings.Builder
	table(&b, "fault\ttimes\tjobs\trecovered: median\tworst", func(w *tabwriter.Writer) {
		for _, kind := range slices.Sorted(maps.Keys(kinds)) {
			rows, jobs := kinds[kind], 0
			var times []time.Duration
			for _, row := range rows {
				jobs += row.Jobs
				times = append(times, row.Recovered)
			}
			slices.Sort(times)
			fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%s\n", kind, len(rows), jobs, seconds(times[len(times)/2]), seconds(times[len(times)-1]))
		}
	})
	return b.String()
}

func table(b *strings.Builder, head string, rows func(w *tabwriter.Writer)) {
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, head)
	rows(w)
	w.Flush()
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

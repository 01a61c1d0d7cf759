package conformance

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/runnerd/runnerd/internal/standin"
)

var logs = []Row{
	{
		Name: "log-head-and-end", Spec: "10.7",
		Behaviour: "The log begins with the runner's name and version and ends with the verdict.",
		Job:       script("true"),
		Want: Want{Check: func(_ *World, j *standin.Job) error {
			lines := Lines(strings.TrimSpace(j.Text()))
			if !strings.HasPrefix(lines[0], "Running with runnerd ") || lines[len(lines)-1] != "Job succeeded" {
				return fmt.Errorf("the log begins with %q and ends with %q", lines[0], lines[len(lines)-1])
			}
			return nil
		}},
	},
	{
		Name: "log-failure", Spec: "10.7",
		Behaviour: "A failed job's log ends with the error.",
		Job:       script("exit 3"),
		Want:      failed(3, "ERROR: Job failed: command terminated with exit code 3"),
	},
	{
		Name: "log-sections", Spec: "10.7",
		Behaviour: "Every stage is a section with its title, in order.",
		Job:       standin.JobSpec{AfterScript: []string{"true"}},
		Want: Want{Check: func(_ *World, j *standin.Job) error {
			var names []string
			for _, m := range regexp.MustCompile(`section_start:\d+:([a-z_]+)\r`).FindAllStringSubmatch(j.Text(), -1) {
				names = append(names, m[1])
			}
			if got := strings.Join(names, " "); got != "prepare_executor prepare_script get_sources step_script after_script cleanup_file_variables" {
				return fmt.Errorf("sections: %s", got)
			}
			return nil
		}},
	},
	{
		Name: "log-sections-off", Spec: "3.13",
		Behaviour: "A GitLab without trace_sections gets no section markers.",
		Job:       standin.JobSpec{Features: &standin.Features{FailureReasons: standin.AllFailureReasons()}},
		Want: Want{Lines: []string{"the script ran"}, Check: func(_ *World, j *standin.Job) error {
			if strings.Contains(j.Text(), "section_start") {
				return fmt.Errorf("there are section markers")
			}
			return nil
		}},
	},
	{
		Name: "log-user-sections", Spec: "10.7",
		Behaviour: "A script's own section markers pass unchanged.",
		Job:       standin.JobSpec{AnyLog: true, Script: []string{`printf 'section_start:1:mine[collapsed=true]\r\033[0KMine\n'; echo inside; printf 'section_end:2:mine\r\033[0K\n'`}},
		Want:      Want{Raw: []string{"section_start:1:mine[collapsed=true]\r\x1b[0KMine\n", "section_end:2:mine\r\x1b[0K\n"}},
	},
	{
		Name: "log-timestamps", Spec: "10.8",
		Behaviour: "Every line has a time stamp in front.",
		Job:       script("echo stamped"),
		Want:      Want{Lines: []string{"stamped"}, Check: timestamps(true)},
	},
	{
		Name: "log-timestamps-off", Spec: "10.8",
		Behaviour: "FF_TIMESTAMPS=false leaves the raw bytes.",
		Job:       with(vars("FF_TIMESTAMPS", "false"), "echo bare"),
		Want:      Want{Lines: []string{"bare"}, Check: timestamps(false)},
	},
	{
		Name: "log-flags", Spec: "10.7",
		Behaviour: "Feature flags that differ from their default are listed in the log's head.",
		Job:       with(vars("FF_SCRIPT_SECTIONS", "true"), "true"),
		Want:      Want{Says: []string{"feature flags: FF_SCRIPT_SECTIONS:true"}},
	},
	{
		Name: "log-command", Spec: "10.5",
		Behaviour: "Every command is shown in bold green before it runs.",
		Job:       script("echo one", "echo two"),
		Want:      Want{Raw: []string{"\x1b[32;1m$ echo one\x1b[0;m\none\n\x1b[32;1m$ echo two\x1b[0;m\ntwo\n"}},
	},
	{
		Name: "log-multi-line-command", Spec: "10.5",
		Behaviour: "Of a command of several lines the first is shown.",
		Job:       script("echo one\necho two"),
		Want:      Want{Lines: []string{"$ echo one # collapsed multi-line command", "one", "two"}, NoLines: []string{"echo two"}},
	},
	{
		Name: "log-script-sections", Spec: "9.6",
		Behaviour: "FF_SCRIPT_SECTIONS makes a collapsed section of every command of several lines.",
		Job:       with(vars("FF_SCRIPT_SECTIONS", "true"), "echo single", "echo one\necho two"),
		Want:      Want{Raw: []string{":section_script_step_1[hide_duration=true,collapsed=true]\r\x1b[0K"}, Lines: []string{"single", "one", "two"}},
	},
	{
		Name: "log-colours", Spec: "10.7",
		Behaviour: "A script's colours pass unchanged.",
		Job:       script(`printf '\033[31mred\033[0m\n'`),
		Want:      Want{Raw: []string{"\n\x1b[31mred\x1b[0m\n"}},
	},
	{
		Name: "log-carriage-returns", Spec: "10.8",
		Behaviour: "Carriage returns of progress bars are kept.",
		Job:       script(`printf '10%%\r20%%\r30%%\n'; printf 'one\r\n'`),
		Want:      Want{Raw: []string{"10%\r20%\r30%\none\r\n"}},
	},
	{
		Name: "log-invalid-utf8", Spec: "10.10",
		Behaviour: "Bytes that are no UTF-8 become U+FFFD.",
		Job:       script(`printf 'a\377\376b\n'`),
		Want:      prints("a\ufffd\ufffdb"),
	},
	{
		Name: "log-split-character", Spec: "10.10",
		Behaviour: "A character that is written in two halves is whole in the log.",
		Job:       script(`printf 'd\303'; sleep 0.3; printf '\251j\303\240\n'`),
		Want:      prints("déjà"),
	},
	{
		Name: "log-order", Spec: "10.8",
		Behaviour: "Standard output and standard error keep their order.",
		Job:       script("for i in 1 2 3; do echo out $i; echo err $i >&2; done"),
		Want:      Want{Raw: []string{"\nout 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\n"}},
	},
	{
		Name: "log-half-a-line", Spec: "10.8",
		Behaviour: "A last line without a line feed is a line.",
		Job:       script("printf 'half a line'"),
		Want:      prints("half a line"),
	},
	{
		Name: "log-long-line", Spec: "10.8",
		Behaviour: "A line of 300 KB arrives as one line.",
		Job:       script(`head -c 300000 /dev/zero | tr '\0' x; echo`),
		Want:      prints(strings.Repeat("x", 300_000)),
	},
	{
		Name: "log-nul", Spec: "10.8",
		Behaviour: "A NUL byte does not end a line.",
		Job:       script(`printf 'a\000b\n'`),
		Want:      prints("a\x00b"),
	},
	{
		Name: "log-many-lines", Spec: "5.1",
		Behaviour: "A long log arrives whole and in order.",
		Job:       script("seq -f 'line number %g' 20000"),
		Want: Want{Check: func(_ *World, j *standin.Job) error {
			var want strings.Builder
			for i := 1; i <= 20_000; i++ {
				fmt.Fprintf(&want, "line number %d\n", i)
			}
			if !strings.Contains(j.Text(), want.String()) {
				return fmt.Errorf("the 20,000 lines are not in the log as they were printed")
			}
			return nil
		}},
	},
	{
		Name: "log-limit", Spec: "10.10", Site: "operator",
		Behaviour: "A log beyond the operator's limit is cut with a notice; the job goes on and its result stands.",
		Job:       script("seq 1 20000", "exit 12"),
		Want: Want{State: standin.Failed, Exit: 12, Says: []string{"exceeded limit of 16384 bytes"}, Check: func(_ *World, j *standin.Job) error {
			if n := len(j.Log()); n > 24<<10 {
				return fmt.Errorf("the log has %d bytes", n)
			}
			return nil
		}},
	},
	{
		Name: "log-says-where", Spec: "10.5",
		Behaviour: "The log says where the job runs.",
		Job:       script("true"),
		Want:      Want{Says: []string{"Running on ", " via "}},
	},
}

func timestamps(want bool) func(*World, *standin.Job) error {
	stamp := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z [0-9a-f]{2}[OE][ +]`)
	return func(_ *World, j *standin.Job) error {
		for _, line := range strings.SplitAfter(string(j.Log()), "\n") {
			if line != "" && stamp.MatchString(line) != want {
				return fmt.Errorf("time stamp: %t, in line %.80q", !want, line)
			}
		}
		return nil
	}
}

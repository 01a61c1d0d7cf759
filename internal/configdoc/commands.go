package configdoc

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Commands returns the reference of the commands below root in Markdown: what
// each is for, its flags, and their environment variables.
func Commands(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString("### Flags of every command\n\n")
	flags(&b, root.PersistentFlags())
	describe(&b, root)
	return strings.TrimSuffix(b.String(), "\n")
}

func describe(b *strings.Builder, c *cobra.Command) {
	for _, sub := range c.Commands() {
		if sub.Name() == "help" || sub.Name() == "completion" {
			continue
		}
		if sub.HasSubCommands() {
			describe(b, sub)
			continue
		}
		fmt.Fprintf(b, "### `%s`\n\n%s.\n\n", strings.TrimSuffix(sub.UseLine(), " [flags]"), sub.Short)
		flags(b, sub.LocalNonPersistentFlags())
	}
}

var variable = regexp.MustCompile(` \[([A-Z0-9_]+)\]$`)

// flags writes a table of flags. A variable that sets one stands in brackets at
// the end of its usage.
func flags(b *strings.Builder, set *pflag.FlagSet) {
	head := "| flag | variable | default | meaning |\n| --- | --- | --- | --- |\n"
	set.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		b.WriteString(head)
		head = ""
		value, usage := pflag.UnquoteUsage(f)
		name := "`--" + f.Name
		if value != "" {
			name += " " + strings.ToUpper(value)
		}
		name += "`"
		if f.Shorthand != "" {
			name += ", `-" + f.Shorthand + "`"
		}
		from := ""
		if m := variable.FindStringSubmatch(usage); m != nil {
			from, usage = "`"+m[1]+"`", strings.TrimSuffix(usage, m[0])
		}
		def := f.DefValue
		if def != "" {
			def = "`" + def + "`"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", name, from, def, cell(usage))
	})
	if head == "" {
		b.WriteString("\n")
	}
}

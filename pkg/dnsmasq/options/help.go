package options

//go:generate env UPDATE_DOCS=1 go test -run TestDocument .

import (
	"fmt"
	"strings"
)

// Usage returns the text of --help, with every option that is not refused.
func Usage(program string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Usage: %s [dnsmasq-nanny flags --] [options]\n", program)
	for _, s := range sections() {
		title := false
		for i := range s.specs {
			spec := &s.specs[i]
			if spec.Status == Refused {
				continue
			}
			if !title {
				fmt.Fprintf(&b, "\n%s:\n", s.title)
				title = true
			}
			fmt.Fprintf(&b, "%-48s %s%s\n", spec.synopsis(), spec.Help, spec.note())
		}
	}
	b.WriteString("\nFlags of dnsmasq-nanny, before the argument \"--\":\n")
	for _, f := range nannyFlags() {
		fmt.Fprintf(&b, "%-48s %s\n", "    -"+f.name, f.help)
	}
	b.WriteString("\nAs the cache of a node (docs/node-local.md), before a first argument \"--\":\n")
	for _, f := range [][2]string{
		{"--node-local=<address>[,<address>...]", "answer on these addresses; queries for them go to cluster DNS whenever this cache does not answer"},
		{"--node-local-interface=<name>", "dummy link for the addresses; default nodelocaldns"},
		{"--node-local-upstream=<name>[#<port>]", "ask the addresses of this name, a headless Service of cluster DNS, in place of the --server for its domain"},
		{"--node-local-lameduck=<duration>", "how long to continue answering after SIGTERM; default 5s"},
		{"--node-local-ready", "exit with 0 if the cache that runs in this container answers, for probes"},
		{"--node-local-cleanup", "remove the link with its addresses, and exit"},
	} {
		fmt.Fprintf(&b, "%-48s %s\n", "    "+f[0], f[1])
	}
	fmt.Fprintf(&b, "\n%s explain NAME [TYPE] says which rule answers a question; %[1]s explain --help says how.\n", program)
	b.WriteString("\nAll other options of dnsmasq are refused with an error that gives the reason.\n")
	return b.String()
}

// synopsis returns the forms of an option: "-c, --cache-size=<n>".
func (s *Spec) synopsis() string {
	short := "    "
	if s.Short != 0 {
		short = fmt.Sprintf("-%c, ", s.Short)
	}
	return short + s.long()
}

// long returns the long form with its value.
func (s *Spec) long() string {
	switch s.Arg {
	case RequiredArgument:
		return fmt.Sprintf("--%s=<%s>", s.Name, s.Param)
	case OptionalArgument:
		return fmt.Sprintf("--%s[=<%s>]", s.Name, s.Param)
	default:
		return "--" + s.Name
	}
}

// note returns the text about the default value, or that the option has no effect.
func (s *Spec) note() string {
	switch {
	case s.Status == Accepted:
		return " (no effect)"
	case s.Default != "":
		return " (default " + s.Default + ")"
	default:
		return ""
	}
}

package resolvers

import (
	"context"
	"net/netip"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// Outcomes of a lookup that finds no address.
const (
	notFound = "notfound"
	again    = "again"
)

// tool is a program that looks names up.
type tool struct {
	name string
	// program is what must be on the PATH, "" for one that the test builds.
	program string
	// args is the command line for a name and a family: 0 (both), 4 or 6.
	args func(name string, family int) []string
	// read finds the addresses or the outcome in the output.
	read func(out string) []string
	// search is whether the tool uses the search list of resolv.conf.
	search bool
	// both is whether a lookup of family 0 gives the addresses of both.
	both bool
	// udpOnly means that the tool uses truncated answers instead of asking over TCP.
	udpOnly bool
	// record is the command line for a record that is not an address, nil if the
	// tool cannot ask for any. An address as the name stands for its PTR.
	record func(name, typ string) []string
	// probes means that the tool may ask twice to find out what the server can do.
	probes bool
}

// lookup runs the tool and returns the addresses that it found, sorted, or one
// outcome.
func (tl *tool) lookup(t *testing.T, name string, family int) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	args := tl.args(name, family)
	out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("%v did not end: %s", args, out)
	}
	got := tl.read(string(out))
	if len(got) == 0 {
		t.Errorf("%v: nothing understood in %q (%v)", args, out, err)
	}
	slices.Sort(got)
	return slices.Compact(got)
}

// testRecord runs the tool for a record, and checks that its output contains a text.
func (tl *tool) testRecord(t *testing.T, name, typ, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	args := tl.record(name, typ)
	out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
	if !strings.Contains(string(out), want) {
		t.Errorf("%v prints %q (%v), want %q in it", args, out, err, want)
	}
}

// lines reads the output of the programs in testdata: an address a line, or an
// outcome.
func lines(out string) []string {
	fields := strings.Fields(out)
	for i, field := range fields {
		if a, err := netip.ParseAddr(field); err == nil {
			fields[i] = a.String() // Java does not shorten IPv6 addresses
		}
	}
	return fields
}

// patterns reads the addresses that the first group of a pattern finds, or, if
// there are none, the outcome of the first text in the output.
func patterns(pattern string, outcomes ...[2]string) func(string) []string {
	re := regexp.MustCompile(`(?m)` + pattern)
	return func(out string) []string {
		var found []string
		for _, m := range re.FindAllStringSubmatch(out, -1) {
			if a, err := netip.ParseAddr(m[1]); err == nil {
				found = append(found, a.String())
			}
		}
		if len(found) > 0 {
			return found
		}
		for _, o := range outcomes {
			if strings.Contains(out, o[0]) {
				return []string{o[1]}
			}
		}
		return nil
	}
}

func familyArgs(name string, family int) []string {
	switch family {
	case 4:
		return []string{name, "4"}
	case 6:
		return []string{name, "6"}
	}
	return []string{name}
}

func recordType(family int) string {
	if family == 6 {
		return "AAAA"
	}
	return "A"
}

// getaddrinfo is a tool that is given a name and a family and prints lines.
func getaddrinfo(name, program string, command ...string) tool {
	return tool{
		name: name, program: program, search: true, both: true, read: lines,
		args: func(name string, family int) []string {
			return append(slices.Clone(command), familyArgs(name, family)...)
		},
	}
}

// tools lists all of them. dir holds the programs that the test built.
func tools(dir string) []tool {
	record := `^\S+\s+\d+\s+IN\s+A{1,4}\s+(\S+)`
	absent := [][2]string{{"NXDOMAIN", notFound}, {"NOERROR", notFound}, {"SERVFAIL", again}, {"REFUSED", again}}
	musl := getaddrinfo("musl", "", dir+"/gai-musl")
	musl.udpOnly = true // before 1.2.4
	return []tool{
		musl,
		getaddrinfo("glibc", "", dir+"/gai-glibc"),
		getaddrinfo("go", "", dir+"/golookup"),
		getaddrinfo("node", "node", "node", "testdata/lookup.js"),
		getaddrinfo("java", "java", "java", "testdata/Lookup.java"),
		{
			name: "dig", program: "dig", search: true, read: patterns(record, absent...),
			args: func(name string, family int) []string { return []string{"dig", "+search", name, recordType(family)} },
			record: func(name, typ string) []string {
				if typ == "PTR" {
					return []string{"dig", "-x", name}
				}
				return []string{"dig", name, typ}
			},
		},
		{
			name: "systemd-resolved", program: "dig", probes: true, read: patterns(record, absent...),
			args: func(name string, family int) []string {
				return []string{"dig", "@127.0.0.53", name, recordType(family)}
			},
		},
		{
			name: "host", program: "host", search: true,
			read:   patterns(`has (?:IPv6 )?address (\S+)$`, [2]string{"NXDOMAIN", notFound}, [2]string{"has no", notFound}, [2]string{"SERVFAIL", again}),
			args:   func(name string, family int) []string { return []string{"host", "-t", recordType(family), name} },
			record: func(name, typ string) []string { return []string{"host", "-t", typ, name} },
		},
		{
			name: "nslookup", program: "nslookup", search: true,
			read: patterns(`^Address:\s+([^\s#]+)$`, [2]string{"NXDOMAIN", notFound}, [2]string{"No answer", notFound}, [2]string{"SERVFAIL", again}),
			args: func(name string, family int) []string {
				return []string{"nslookup", "-type=" + recordType(family), name}
			},
			record: func(name, typ string) []string { return []string{"nslookup", "-type=" + typ, name} },
		},
		{
			name: "busybox", program: "busybox", udpOnly: true,
			read: patterns(`^Address:\s+([^\s:]+|[0-9a-f:]+)$`, [2]string{"NXDOMAIN", notFound}, [2]string{"SERVFAIL", again}, [2]string{"answer:", notFound}),
			args: func(name string, family int) []string {
				return []string{"busybox", "nslookup", "-type=" + strings.ToLower(recordType(family)), name}
			},
			record: func(name, typ string) []string {
				if typ == "PTR" {
					return []string{"busybox", "nslookup", name}
				}
				return []string{"busybox", "nslookup", "-type=" + strings.ToLower(typ), name}
			},
		},
		{
			name: "kdig", program: "kdig", read: patterns(record, absent...),
			args: func(name string, family int) []string { return []string{"kdig", name, recordType(family)} },
			record: func(name, typ string) []string {
				if typ == "PTR" {
					return []string{"kdig", "-x", name}
				}
				return []string{"kdig", name, typ}
			},
		},
		{
			name: "drill", program: "drill", udpOnly: true, read: patterns(record, absent...),
			args: func(name string, family int) []string { return []string{"drill", name, recordType(family)} },
			record: func(name, typ string) []string {
				if typ == "PTR" {
					return []string{"drill", "-x", name}
				}
				return []string{"drill", name, typ}
			},
		},
	}
}

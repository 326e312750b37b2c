package options

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestOddDigits: the detail for an octet with a digit missing says so, as the digits are hexadecimal.
func TestOddDigits(t *testing.T) {
	for value, want := range map[string]string{"123": "two digits for each octet", "01:1g": "not hexadecimal"} {
		if _, err := Parse([]string{"--dns-rr=a,51," + value}, NoFiles()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", value, err, want)
		}
	}
}

// TestFaults holds the first line of every report, as dnsmasq 2.90 was seen to
// word it, and the exit code.
func TestFaults(t *testing.T) {
	const general = "bad command line options: try --help"
	line := func(text string) string { return text + " at line 1 of /f" }
	for _, tt := range []struct {
		args string // one word after the other, "_" for a blank inside a word
		file string // content of /f, read with -C /f
		want string
		exit int
	}{
		{args: "--port=70000", want: general},
		{args: "--port=x", want: general},
		{args: "-p", want: general},
		{args: "--cache-size=-1", want: general},
		{args: "--cache-size=5x", want: general},
		{args: "--cache-size=_5", want: general},
		{args: "--neg-ttl=x", want: general},
		{args: "--frob", want: general},
		{args: "-$", want: general},
		{args: "--=x", want: general},
		{args: "--no", want: general},
		{args: "--serve", want: general},
		{args: "--no-resolv=1", want: general},
		{args: "-k=5", want: general},
		{args: "foo", want: "junk found in command line"},
		{args: "-", want: "junk found in command line"},
		{args: "-- foo", want: "junk found in command line"},
		{args: "--log-queries extra", want: "junk found in command line"},
		{args: "--port=5 --port=6", want: "bad command line options: illegal repeated flag"},
		{args: "--server=1.2.3.4#x", want: "bad command line options: bad port"},
		{args: "--server=1.2.3.4#99999", want: "bad command line options: bad port"},
		{args: "--server=1.2.3.4#53#5", want: "bad command line options: bad port"},
		{args: "--server=1.2.3.4@1.2.3.4#x", want: "bad command line options: bad port"},
		{args: "--server=/foo", want: "bad command line options: Name or service not known"},
		{args: "--server=foo/1.2.3.4", want: "bad command line options: Name or service not known"},
		{args: "--server=1.2.3.4:53", want: "bad command line options: Name or service not known"},
		{args: "--server=1.2.3", want: "bad command line options: Name or service not known"},
		{args: "--server=1.2.3.4@::1", want: "bad command line options: cannot use IPv4 server address with IPv6 source address"},
		{args: "--address=/a/x", want: "bad command line options: Bad address in --address"},
		{args: "--address=/a/1.2.3.4#53", want: "bad command line options: Bad address in --address"},
		{args: "--rev-server=10.2.16.0/33,1.2.3.4", want: "bad command line options: bad IPv4 prefix length"},
		{args: "--rev-server=10.0.0.0/0,1.2.3.4", want: "bad command line options: bad IPv4 prefix length"},
		{args: "--rev-server=x,1.2.3.4", want: general},
		{args: "--rev-server=10.0.0.0/8,", want: "bad command line options: Name or service not known"},
		{args: "--log-facility=foo", want: "bad command line options: bad log facility"},
		{args: "--log-async=x", want: general},
		{args: "--listen-address=x", want: general},
		{args: "--max-tcp-connections=0", want: general},
		{args: "--fast-dns-retry=10", want: general},
		{args: "--fast-dns-retry=", want: general},
		{args: "--use-stale-cache=x", want: general},
		{args: "--cache-rr=FOO", want: "bad command line options: bad RR type"},
		{args: "--host-record=a", want: "bad command line options: Bad host-record"},
		{args: "--host-record=1.2.3.4", want: "bad command line options: Bad host-record"},
		{args: "--cname=a", want: "bad command line options: bad CNAME"},
		{args: "--cname=a,b --cname=a,c", want: "bad command line options: duplicate CNAME"},
		{args: "--cname=a,b --cname=b,a", want: "CNAME loop involving a"},
		{args: "--cname=a,a", want: "CNAME loop involving a"},
		{args: "--srv-host=_x._tcp.d,t,80000", want: "bad command line options: invalid port number"},
		{args: "--srv-host=_x._tcp.d,t,1,70000", want: "bad command line options: invalid priority"},
		{args: "--mx-host=a,b,x", want: "bad command line options: bad MX preference"},
		{args: "--naptr-record=a,1", want: "bad command line options: bad NAPTR record"},
		{args: "--caa-record=a", want: "bad command line options: bad CAA record"},
		{args: "--dns-rr=a,x", want: "bad command line options: bad RR record"},
		{args: "--synth-domain=a.b", want: general},
		{args: "--alias=x,y", want: "bad command line options: missing address in alias"},
		{args: "--bogus-nxdomain=1.2.3.0/33", want: general},
		{args: "--no-poll --resolv-file=/a --resolv-file=/b", want: "only one resolv.conf file allowed in no-poll mode."},
		{args: "--conf-file=/nonexist", want: "cannot read /nonexist: No such file or directory", exit: ExitFile},
		{args: "--conf-dir=/nonexist", want: "cannot access directory /nonexist: No such file or directory", exit: ExitFile},
		{args: "--local-service=x", want: general},
		{args: "--port=0", want: general},
		{args: "--serve-stale=1h --use-stale-cache", want: "illegal combination of options"},
		{args: "--serve-stale=soon", want: general},
		{args: "--rate-limit=0", want: general},
		{args: "--rate-limit=5,", want: general},
		{args: "--rate-limit=5,0", want: general},
		{args: "--rate-limit=x,5", want: general},
		{args: "--rate-limit=-5", want: general},
		{args: "--rate-limit=5,5,5", want: general},
		{args: "--rate-limit=99999999999999999999", want: general},
		{args: "--metrics-address=10054", want: general},
		{args: "--metrics-address=10.0.0.1]:10054", want: general},
		// dnsmasq knows these; dnscache refuses them by name.
		{args: "--dnssec", want: general},
		{args: "--dhcp-range=1.2.3.4,1.2.3.9", want: general},
		{args: "-Zz9", want: general},

		{file: "port=5\nport=6", want: "illegal repeated keyword at line 2 of /f"},
		{file: "--port=5", want: line("bad option")},
		{file: "port 5", want: line("bad option")},
		{file: "port", want: line("missing parameter")},
		{file: "no-resolv=5", want: line("extraneous parameter")},
		{file: "no-resolv=", want: line("extraneous parameter")},
		{file: "cache-s=5", want: line("bad option")},
		{file: "p=5", want: line("bad option")},
		{file: "=5", want: line("bad option")},
		{file: "port=5# c", want: line("error")},
		{file: "no-resolv#x", want: line("bad option")},
		{file: `txt-record=a,"b`, want: line(`missing "`)},
		{file: `port=5\`, want: line("error")},
		{file: "dnssec", want: line("bad option")},
		{file: "server=/a/1.2.3.4\nserver=/b/1.2.3.4x:", want: "Name or service not known at line 2 of /f"},
		{file: "conf-file=nope", want: "cannot read nope: No such file or directory", exit: ExitFile},
		{file: "conf-dir=nope", want: "cannot access directory nope: No such file or directory", exit: ExitFile},
	} {
		args, files := strings.Fields(tt.args), NoFiles()
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "_", " ")
		}
		if tt.file != "" {
			args, files = append(args, "-C", "/f"), mapFiles(map[string]string{"/f": tt.file})
		}
		_, err := Parse(args, files)
		report, exit := Report("dnscache", err)
		want := max(tt.exit, ExitConfig)
		if !strings.HasPrefix(report, "\ndnscache: "+tt.want+"\n") || exit != want {
			t.Errorf("%s%q: exit %d, want %d; report, want first %q:\n%s", tt.args, tt.file, exit, want, tt.want, report)
		}
	}
}

func TestReportNamesEveryFault(t *testing.T) {
	_, err := Parse([]string{"--frob", "--dnssec", "--port=x\x1b", "word", "--se"}, NoFiles())
	got, exit := Report("dnscache", err)
	want := `
dnscache: bad command line options: try --help
dnscache: --frob: unknown option
dnscache: --dnssec: not supported: ` + noDNSSEC + `; remove the option
dnscache: --port=x?: "x\x1b" is not a number
dnscache: --se: ambiguous, could be --selfmx --server --servers-file
dnscache: word: not an option; options begin with --, and a value with spaces needs quotation marks
`
	if got != want || exit != ExitConfig {
		t.Errorf("Report gives exit %d and\n%s\nwant\n%s", exit, got, want)
	}
	if text, exit := Report("dnscache", nil); text != "" || exit != 0 {
		t.Errorf("Report(nil) = %q, %d", text, exit)
	}
	if text, exit := Report("p", errors.New("else")); text != "\np: else\n" || exit != ExitConfig {
		t.Errorf("Report of another error = %q, %d", text, exit)
	}
}

func TestEveryRefusedOptionIsRefusedByName(t *testing.T) {
	for _, spec := range Table() {
		if spec.Status != Refused {
			continue
		}
		word := "--" + spec.Name
		if spec.Arg == RequiredArgument {
			word += "=x"
		}
		_, err := Parse([]string{word}, NoFiles())
		report, exit := Report("p", err)
		if exit != ExitConfig || !strings.Contains(report, "--"+spec.Name+": not supported: "+spec.Help) {
			t.Errorf("%s: exit %d, report %q", word, exit, report)
		}
	}
}

// TestReportIsShort holds that a very long value neither hides the reason nor
// fills the log.
func TestReportIsShort(t *testing.T) {
	for _, option := range []string{"--dns-rr=a,51,", "--server=", "--host-record=", "--", "-", ""} {
		_, err := parsed(t, option+strings.Repeat("é", 70_000))
		if text, _ := Report("p", err); err == nil || len(text) > 3000 || !strings.Contains(text, option) || !utf8.ValidString(text) {
			t.Errorf("%s: %d octets, %.2000s", option, len(text), text)
		}
	}
	for _, option := range []string{"--dns-rr=a,51,", "--caa-record=a,0,issue,", "--txt-record=a,"} {
		if _, err := parsed(t, option+strings.Repeat("00", 70_000)); err == nil || !strings.Contains(err.Error(), "65535 octets") {
			t.Errorf("%s: %.1000v", option, err)
		}
	}
}

// TestNoConfigurationFile holds that a file with a fault on each line takes little
// memory and time, and does not fill the log. Valid lines of a --servers-file apply.
func TestNoConfigurationFile(t *testing.T) {
	bad := []byte(strings.Repeat("x\n", 10<<20))
	files := NoFiles()
	files.ReadFile = func(string) ([]byte, error) { return bad, nil }
	_, err := Parse([]string{"--conf-file=/f"}, files)
	if faults := Faults(err); len(faults) != maxFaults+1 || faults[maxFaults].Text != "10000 more errors" {
		t.Errorf("%d faults, %.1000v", len(faults), err)
	}
	some := strings.Repeat("x\n", 100) + "server=192.0.2.1\n"
	servers, faults := ParseServersFile("/f", []byte(some))
	if len(servers) != 1 || len(faults) != maxFaults+1 || faults[maxFaults].Text != "80 more errors" {
		t.Errorf("%v, %v", servers, faults)
	}
	if _, faults = ParseServersFile("/f", bad); len(faults) != maxFaults+1 {
		t.Errorf("%d faults", len(faults))
	}
}

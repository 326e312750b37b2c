package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/dnscache/explain"
	"github.com/kube-dns/kube-dns/test/testkit"
)

// explainCommand runs "dnscache explain" and returns its exit code and output.
func explainCommand(t *testing.T, args ...string) (int, string) {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(context.Background(), append([]string{"explain"}, args...), env{
		stdin: strings.NewReader(""), stdout: &out, stderr: &errs,
		lookup: func(context.Context, string) ([]netip.Addr, error) {
			return nil, &net.DNSError{Err: "tests have no names", IsNotFound: true}
		},
	})
	return code, out.String() + errs.String()
}

// explain asks the running program for an explanation, and tries again while the rate is
// limited.
func (in *instance) explain(args ...string) (code int, out string) {
	in.t.Helper()
	testkit.Eventually(in.t, "an explanation comes", func() bool {
		code, out = explainCommand(in.t, append(args, "--server="+in.metrics.String())...)
		return !strings.Contains(out, "429 Too Many Requests") // a port may contain 429, too
	})
	return code, out
}

// zoneServer answers with the records that the table of TestExplain expects.
func zoneServer(t *testing.T) *scripted {
	t.Helper()
	return upstreamServer(t, "", func(m *dns.Msg) bool {
		switch name := m.Question[0].Name; {
		case strings.HasPrefix(name, "no."):
			m.Rcode = dns.RcodeNameError
			m.Ns = append(m.Ns, record("example. 60 SOA a. b. 1 2 3 4 60"))
		case strings.HasPrefix(name, "bad."):
			m.Rcode = dns.RcodeServerFailure
		case strings.HasPrefix(name, "private."):
			m.Answer = append(m.Answer, record(name+" 100 A 10.0.0.1"))
		case strings.HasPrefix(name, "brief."):
			m.Answer = append(m.Answer, record(name+" 0 A 93.184.216.34"))
		case m.Question[0].Qtype == dns.TypeA:
			m.Answer = append(m.Answer, record(name+" 100 A 93.184.216.34"))
		default:
			m.Ns = append(m.Ns, record("example. 60 SOA a. b. 1 2 3 4 60"))
		}
		return true
	})
}

func TestExplain(t *testing.T) {
	up, corp := zoneServer(t), zoneServer(t)
	hosts := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(hosts, []byte("192.0.2.9 filed.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	options := []string{
		"--server=" + up.option(), "--server=/corp.example/" + corp.option(), "--address=/ads.example/", "--address=/lit.example/192.0.2.7",
		"--local=/lan/", "--host-record=rec.example,192.0.2.8", "--addn-hosts=" + hosts, "--no-hosts", "--domain-needed", "--bogus-priv",
		"--stop-dns-rebind", "--filter-rr=HINFO", "--no-resolv", "--conf-file=",
	}
	in := start(t, append(options, "--metrics-address=127.0.0.1:0")...)
	for _, tt := range []struct {
		args string
		code int
		want []string
	}{
		{"rec.example", 0, []string{"192.0.2.8", "local data answers: an option of the command line", "not stale: it is made here"}},
		{"filed.example", 0, []string{"192.0.2.9", "local data answers: the file " + hosts}},
		{"lit.example", 0, []string{"192.0.2.7", "local data answers: --address"}},
		{"x.ads.example", 3, []string{"nobody is asked about names of this domain"}},
		{"printer.lan", 3, []string{"NXDOMAIN", "--local or --server=/DOMAIN/ without an address"}},
		{"plain", 3, []string{"the filter answers: --domain-needed"}},
		{"1.0.0.10.in-addr.arpa PTR", 3, []string{"the filter answers: --bogus-priv"}},
		{"www.corp.example", 0, []string{"domain that has the name is corp.example", corp.addr.String() + "  up, ", corp.addr.String() + " gave the answer; the cache keeps it for 1m40s", "it was asked for just now"}},
		{"www.corp.example", 0, []string{"the cache held an answer: stored ", " for 1m40s, from " + corp.addr.String() + "; it expires in ", "the cache answers, and no server is asked", "This answer is not stale: it is "}},
		{"www.example", 0, []string{"no domain of its own has the name", up.addr.String() + " gave the answer"}},
		{"no.example", 3, []string{"gave the answer; the cache keeps it for 1m0s"}},
		{"no.example TXT", 3, []string{"the cache held that the name does not exist: stored "}},
		{"www.example AAAA", 4, []string{"NODATA"}},
		{"www.example AAAA", 4, []string{"the cache held that the name has no records of the type"}},
		{"bad.example", 2, []string{"SERVFAIL", "last failure ", " ago: the reply was SERVFAIL"}},
		{"private.example", 4, []string{"options can change what servers reply: --stop-dns-rebind, --filter-rr", "(blocked)"}},
		{"brief.example", 0, []string{"the answer is not kept in the cache"}},
		{"www.example AXFR", 2, []string{"REFUSED", "answered with an error at once"}},
		{"www.example MXX", 2, []string{`400 Bad Request: unknown record type "MXX"`}},
		{"a..b", 2, []string{"is not a domain name"}},
		{"", 2, []string{"want NAME"}},
		{"a b c", 2, []string{"want NAME"}},
		{"a --nosuch=1", 2, []string{"unknown flag --nosuch"}},
		{"a --output=xml", 2, []string{"want text or json"}},
		{"a --timeout=-1s", 2, []string{"want a duration"}},
		{"a --timeout", 2, []string{"--timeout=--server="}},
		{"--help", 0, []string{"Exit code: 0 answer, 3 NXDOMAIN", "--server=URL"}},
	} {
		code, out := in.explain(strings.Fields(tt.args)...)
		if code != tt.code {
			t.Errorf("%s: exit code %d, want %d:\n%s", tt.args, code, tt.code, out)
		}
		for _, want := range tt.want {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %q in\n%s", tt.args, want, out)
			}
		}
	}
	// The same options give the same answers without a running program.
	for _, tt := range []struct {
		args string
		code int
		want string
	}{
		{"rec.example", 0, "local data answers: an option of the command line"},
		{"filed.example", 0, "local data answers: the file " + hosts},
		{"printer.lan", 3, "--local or --server=/DOMAIN/"},
		{"www.corp.example A", 0, corp.addr.String() + " gave the answer; the cache keeps it for 1m40s"},
		{"bad.example -o json", 2, `"lastError": "the reply was SERVFAIL"`},
	} {
		code, out := explainCommand(t, append(append(strings.Fields(tt.args), "--"), options...)...)
		if code != tt.code || !strings.Contains(out, tt.want) {
			t.Errorf("offline, %s: exit code %d, want %d and %q:\n%s", tt.args, code, tt.code, tt.want, out)
		}
	}
	for _, args := range [][]string{{"a", "--", "--nosuch"}, {"a", "--", "--server=/x/nonsense#y"}, {"a", "--", "--server=unknown.host"}, {"a"}, {"a", "--server=x", "--"}} {
		if code, out := explainCommand(t, args...); code != 2 || !strings.HasPrefix(out, "dnscache explain: ") {
			t.Errorf("%v: %d %s", args, code, out)
		}
	}
	for arg, want := range map[string]string{"--nosuch": "unknown flag --nosuch", "--timeout": "--timeout: want a value"} {
		if code, out := explainCommand(t, "a", arg, "--", "--no-resolv"); code != 2 || !strings.Contains(out, want) {
			t.Errorf("%s: %d %s", arg, code, out)
		}
	}
}

// A stale answer is distinguished from a fresh one, and a remembered failure from both.
func TestExplainStale(t *testing.T) {
	up := upstreamServer(t, "", func(m *dns.Msg) bool {
		m.Answer = append(m.Answer, record(m.Question[0].Name+" 1 A 192.0.2.1"))
		return true
	})
	in := start(t, "--server="+up.option(), "--metrics-address=127.0.0.1:0", "--serve-stale=1h")
	if _, out := in.explain("www.example"); !strings.Contains(out, "This answer is not stale: it was asked for just now.") {
		t.Errorf("first: %s", out)
	}
	up.setDown(true)
	testkit.Eventually(t, "a stale answer is told", func() bool {
		code, out := in.explain("www.example", "-o", "json")
		var x explain.Explanation
		if err := json.Unmarshal([]byte(out), &x); err != nil || code != 0 {
			t.Fatalf("%d %v %s", code, err, out)
		}
		return strings.HasPrefix(x.Freshness, "STALE: it expired ") && len(x.Cache) == 1 && x.Cache[0].Stale && x.Cache[0].ExpiresIn < 0 &&
			x.Cache[0].From == up.addr.String()
	})
	if _, out := in.explain("www.example"); !strings.Contains(out, "This answer is STALE: it expired ") ||
		!strings.Contains(out, " ago, and is given only while no server answers") || !strings.Contains(out, "(stale answer)") {
		t.Errorf("stale: %s", out)
	}
}

// The page is only for the Pod itself, its rate is limited, and it accepts only reading
// requests.
func TestExplainPage(t *testing.T) {
	up := upstreamServer(t, "192.0.2.1", nil)
	in := start(t, "--server="+up.option(), "--metrics-address=127.0.0.1:0")
	get := func(change func(*http.Request)) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+in.metrics.String()+"/explain?name=www.example", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		change(req)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	for _, tt := range []struct {
		name   string
		want   int
		change func(*http.Request)
	}{
		{"as it is", 200, func(*http.Request) {}},
		{"from a web page", 403, func(r *http.Request) { r.Header.Set("Origin", "http://evil.example") }},
		{"by another name", 403, func(r *http.Request) { r.Host = "evil.example" }},
		{"POST", 405, func(r *http.Request) { r.Method = http.MethodPost }},
	} {
		if got := get(tt.change); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
	limited := false
	for range 40 {
		limited = limited || get(func(*http.Request) {}) == 429
	}
	if !limited {
		t.Error("the rate is not limited")
	}
	if got := in.answers("www.example"); got != "NOERROR 192.0.2.1" {
		t.Error(got)
	}
}

// With unusual names, files with hostile names and servers with hostile texts, there is an
// answer or an error, and no output controls the terminal or forges a line.
func TestExplainHostileTexts(t *testing.T) {
	up := upstreamServer(t, "", func(m *dns.Msg) bool {
		m.Rcode = dns.RcodeServerFailure
		opt := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}}
		opt.Option = append(opt.Option, &dns.EDNS0_EDE{InfoCode: 22, ExtraText: "\x1b[2J\n;; STATUS: NOERROR\u202e"})
		m.Extra = append(m.Extra, opt)
		m.Answer = append(m.Answer, &dns.TXT{Hdr: dns.RR_Header{Name: m.Question[0].Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 9}, Txt: []string{`\027[2J`}})
		return true
	})
	dir := filepath.Join(t.TempDir(), "\x1b[2J\n;; STATUS: x")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "hosts"), []byte("192.0.2.9 filed.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	options := []string{"--", "--conf-file=", "--no-resolv", "--no-hosts", "--addn-hosts=" + dir, "--server=" + up.option(), "--address=/lit/192.0.2.1"}
	label := strings.Repeat("a", 63)
	long := strings.Join([]string{label, label, label, label[:61]}, ".") // 255 octets
	for _, name := range []string{
		"filed.example", "www.example", "x.lit", `a\.b`, `\027[2J`, "\x1b[2J", "a\nb", `\255\000`, "größe", "xn--gre-6ka8i", "\xff\xfe", long, long + "x", label + "a",
		".", "..", "a..b", " ", "*", "_", `\`, `\9`, `\999`, "\u202e", strings.Repeat("a.", 127), strings.Repeat("a.", 128), "1.2.3.4", "::1", "http://web", "a/",
	} {
		for _, format := range []string{"text", "json"} {
			code, out := explainCommand(t, append([]string{name, "TXT", "--output=" + format}, options...)...)
			if code != 0 && code != 2 && code != 3 && code != 4 || out == "" {
				t.Errorf("%q: %d %q", name, code, out)
			}
			statuses := 0
			for line := range strings.Lines(out) {
				if strings.HasPrefix(line, ";; STATUS") {
					statuses++
				}
				if strings.ContainsAny(strings.TrimRight(line, "\n"), "\x00\x07\x1b\u202e\u009b\x7f") {
					t.Errorf("%q: %q controls the terminal", name, line)
				}
			}
			if statuses > 1 {
				t.Errorf("%q: a forged status in\n%s", name, out)
			}
		}
	}
}

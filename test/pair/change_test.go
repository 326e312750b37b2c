package pair

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// within is the time after an accepted change by which no answer may come from a server that
// the new configuration does not ask. Here, kubedns and dnscache look for changes every
// second.
const within = 15 * time.Second

// TestChangeOfConfiguration: after each change of the ConfigMap, every name is answered by
// the server of the new configuration, and names whose servers stay the same are not asked
// for again.
func TestChangeOfConfiguration(t *testing.T) {
	for form, extra := range map[string]func(kubedns, dir string) []string{
		"base": func(kubedns, _ string) []string {
			return []string{"--server=" + kubedns, "--serve-stale=1h"}
		},
		"base with groups": func(kubedns, _ string) []string {
			return []string{
				"--server=" + kubedns, "--server=/cluster.local/" + kubedns, "--server=/in-addr.arpa/" + kubedns,
				"--server=/ip6.arpa/" + kubedns, "--serve-stale=1h",
			}
		},
		"nanny": func(kubedns, dir string) []string {
			return []string{
				"-configDir=" + dir, "-restartDnsmasq=true", "-syncInterval=1s", "-kubednsServer=" + strings.Replace(kubedns, "#", ":", 1),
				"--", "--server=/cluster.local/" + kubedns, "--server=/in-addr.arpa/" + kubedns, "--server=" + kubedns,
			}
		},
		"nanny, kubedns for all names": func(kubedns, dir string) []string {
			return []string{
				"-configDir=" + dir, "-restartDnsmasq=true", "-syncInterval=1s", "-kubednsServer=" + strings.Replace(kubedns, "#", ":", 1),
				"--", "--no-resolv", "--server=" + kubedns,
			}
		},
	} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			testChanges(t, extra)
		})
	}
}

// question is a name and a type.
type question struct {
	name  string
	qtype uint16
}

func testChanges(t *testing.T, extra func(kubedns, dir string) []string) {
	t.Helper()
	a, b, stub, other := newOutside(t, 1), newOutside(t, 2), newOutside(t, 3), newOutside(t, 4)
	p := start(t, a.Addr, extra)
	asked := []question{
		{"pos.corp.example.", dns.TypeA},
		{"neg.corp.example.", dns.TypeA},
		{"neg.corp.example.", dns.TypeAAAA},
		{"corp.example.", dns.TypeA},
		{"neg.sub.corp.example.", dns.TypeA},
		{"7.7.168.192.in-addr.arpa.", dns.TypePTR},
		{"ext.default.svc.cluster.local.", dns.TypeA},
		{"gone.default.svc.cluster.local.", dns.TypeA},
		{"pos.elsewhere.example.", dns.TypeA},
		{"neg.elsewhere.example.", dns.TypeA},
		{"web.default.svc.cluster.local.", dns.TypeA},
	}
	// want returns the answer if corp.example and 168.192.in-addr.arpa have the server corp,
	// and all other names outside the cluster the server rest.
	want := func(q question, corp, rest *outside) string {
		of := rest
		if strings.HasSuffix(q.name, "corp.example.") || strings.HasSuffix(q.name, "arpa.") || strings.HasPrefix(q.name, "ext.") || strings.HasPrefix(q.name, "gone.") {
			of = corp
		}
		serial := of.mark[strings.LastIndexByte(of.mark, '.')+1:]
		switch {
		case strings.HasPrefix(q.name, "web."):
			return "10.3.0.10"
		case strings.HasPrefix(q.name, "neg."), strings.HasPrefix(q.name, "gone."):
			return "NXDOMAIN " + serial
		case q.qtype == dns.TypePTR:
			return "server" + serial + ".example."
		}
		return of.mark
	}
	// reach waits until all answers are from these servers, twice.
	reach := func(step string, corp, rest *outside) {
		t.Helper()
		wrong := map[string]string{}
		for end := time.Now().Add(within); ; time.Sleep(100 * time.Millisecond) {
			clear(wrong)
			for _, q := range asked {
				if got := p.answer(q.name, q.qtype); got != want(q, corp, rest) {
					wrong[q.name+dns.TypeToString[q.qtype]] = fmt.Sprintf("got %q, want %q", got, want(q, corp, rest))
				}
			}
			if len(wrong) == 0 {
				break
			}
			if time.Now().After(end) {
				for _, name := range slices.Sorted(maps.Keys(wrong)) {
					t.Errorf("%s: %s: %s", step, name, wrong[name])
				}
				t.FailNow()
			}
		}
	}
	stubs := func(o *outside) string {
		return fmt.Sprintf(`{"corp.example": ["%v"], "168.192.in-addr.arpa": ["%v"]}`, o.Addr, o.Addr)
	}
	reach("start", a, a)
	before := a.times("pos.elsewhere.example.", dns.TypeA)

	p.configure(map[string]string{"stubDomains": stubs(stub)})
	reach("stub domain added", stub, a)
	p.configure(map[string]string{"stubDomains": stubs(other)})
	reach("stub domain changed", other, a)
	p.configure(nil)
	reach("stub domain removed", a, a)
	if n := a.times("pos.elsewhere.example.", dns.TypeA); n != before {
		t.Errorf("a name whose servers stayed was asked again: %d times, %d at first", n, before)
	}
	p.configure(map[string]string{"upstreamNameservers": fmt.Sprintf(`["%v"]`, b.Addr)})
	reach("default servers changed", b, b)
	p.configure(map[string]string{"upstreamNameservers": fmt.Sprintf(`["%v"]`, b.Addr), "stubDomains": stubs(stub)})
	reach("both", stub, b)

	p.kubedns.Kill()
	p.configure(map[string]string{"upstreamNameservers": fmt.Sprintf(`["%v"]`, a.Addr)})
	time.Sleep(500 * time.Millisecond)
	p.startKubedns()
	reach("changed while kubedns was away", a, a)
}

// TestExternalNameInDirect: if kubedns is asked only about the cluster's names, the targets
// of ExternalName Services still follow its configuration.
func TestExternalNameInDirect(t *testing.T) {
	a, stub := newOutside(t, 1), newOutside(t, 3)
	p := start(t, a.Addr, func(kubedns, dir string) []string {
		return []string{
			"-configDir=" + dir, "-restartDnsmasq=true", "-syncInterval=1s", "-kubednsServer=" + strings.Replace(kubedns, "#", ":", 1),
			"--", "--server=/cluster.local/" + kubedns, "--server=" + strings.Replace(a.Addr.String(), ":", "#", 1),
		}
	})
	reach := func(ext, gone string) {
		t.Helper()
		var got [2]string
		for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			got = [2]string{p.answer("ext.default.svc.cluster.local.", dns.TypeA), p.answer("gone.default.svc.cluster.local.", dns.TypeA)}
			if got == [2]string{ext, gone} {
				return
			}
		}
		t.Fatalf("got %q, want %q and %q", got, ext, gone)
	}
	reach(a.mark, "NXDOMAIN 1")
	p.configure(map[string]string{"stubDomains": fmt.Sprintf(`{"corp.example": ["%v"]}`, stub.Addr)})
	reach(stub.mark, "NXDOMAIN 3")
	p.configure(nil)
	reach(a.mark, "NXDOMAIN 1")
}

// TestPlainServersSeeNothing: a server that never sent a list of routes gets only packets
// that clients' questions cause.
func TestPlainServersSeeNothing(t *testing.T) {
	a, b := newOutside(t, 1), newOutside(t, 2)
	p := start(t, a.Addr, func(kubedns, _ string) []string {
		return []string{"--server=/cluster.local/" + kubedns, "--server=" + strings.Replace(b.Addr.String(), ":", "#", 1)}
	})
	if got := p.answer("pos.example.", dns.TypeA); got != b.mark {
		t.Fatalf("got %q", got)
	}
	time.Sleep(5 * time.Second)
	for _, q := range b.All() {
		if q.Question[0].Qclass != dns.ClassINET {
			t.Errorf("the server was asked %v", q)
		}
	}
	if b.Seen() != 1 || a.Seen() != 0 {
		t.Errorf("the servers saw %d and %d packets, want 1 and 0", b.Seen(), a.Seen())
	}
}

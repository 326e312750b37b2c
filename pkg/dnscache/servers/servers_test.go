package servers

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-dns/kube-dns/pkg/dnscache/files"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/test/dnstest"
)

// optionServers parses values of --server.
func optionServers(t *testing.T, words string) []options.Server {
	t.Helper()
	var args []string
	for word := range strings.FieldsSeq(words) {
		args = append(args, "--server="+word)
	}
	o, err := options.Parse(args, options.NoFiles())
	if err != nil {
		t.Fatal(err)
	}
	return o.Upstream.Servers
}

func serverTexts(servers []options.Server) string {
	var texts []string
	for _, s := range servers {
		text := s.String()
		if s.Kind == options.ServerNone {
			text += "none"
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, " ")
}

func TestServerSources(t *testing.T) {
	resolv := addrs("9.9.9.9 8.8.8.8")
	for _, tt := range []struct {
		name    string
		sources Sources
		want    string
	}{
		{"resolv.conf alone", Sources{Resolv: &files.Resolv{Servers: resolv}}, "9.9.9.9#53 8.8.8.8#53"},
		{"no-resolv", Sources{Resolv: &files.Resolv{Servers: resolv}, NoResolv: true}, ""},
		{"all, each once", Sources{
			Options: optionServers(t, "/a/1.1.1.1 9.9.9.9"),
			file:    optionServers(t, "/a/1.1.1.1 /b/"),
			Live:    Live{Servers: optionServers(t, "/c/3.3.3.3")},
			Resolv:  &files.Resolv{Servers: resolv},
		}, "/a/1.1.1.1#53 9.9.9.9#53 /b/ /c/3.3.3.3#53 8.8.8.8#53"},
		{"upstream servers replace resolv.conf", Sources{
			Options: optionServers(t, "/a/1.1.1.1"),
			Live:    Live{Servers: optionServers(t, "2.2.2.2#54"), Upstream: true},
			Resolv:  &files.Resolv{Servers: resolv},
		}, "/a/1.1.1.1#53 2.2.2.2#54"},
	} {
		if got := serverTexts(tt.sources.Servers()); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestServerLines(t *testing.T) {
	got := serverLines(optionServers(t, "/a.b/127.0.0.1#99 //127.0.0.1#98 /loc/ /std/# 127.0.0.1 // /*wild/127.0.0.1#5 /*.w2/::1#5"))
	want := []string{
		"using nameserver 127.0.0.1#99 for domain a.b",
		"using nameserver 127.0.0.1#98 for unqualified names",
		"using nameserver 127.0.0.1#53",
		"using nameserver 127.0.0.1#5 for domain *wild",
		"using nameserver ::1#5 for domain *.w2",
		"using only locally-known addresses for loc",
		"using standard nameservers for std",
		"using only locally-known addresses for unqualified names",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	var many []options.Server
	for i := range 40 {
		addr := netip.AddrFrom4([4]byte{127, 0, 0, byte(i)})
		many = append(many, options.Server{Addr: addr, Port: 53})
		many = append(many, options.Server{Kind: options.ServerLocal, Domain: dnsname.Domain{Match: dnsname.MatchText, Text: addr.String()}})
	}
	lines := serverLines(many)
	if len(lines) != 30+1+8+1 || lines[30] != "using 10 more nameservers" || lines[39] != "using 32 more local addresses" {
		t.Errorf("%d lines: %q", len(lines), lines)
	}
}

func TestResolveServers(t *testing.T) {
	asked := map[string]int{}
	var mu sync.Mutex
	names := map[string]string{"both.example": "::1 127.0.0.9", "none.example": ""}
	lookup := func(_ context.Context, host string) ([]netip.Addr, error) {
		mu.Lock()
		defer mu.Unlock()
		asked[host]++
		if text, ok := names[host]; ok {
			return addrs(text), nil
		}
		return nil, errors.New("no such host")
	}
	known := map[string][]netip.Addr{}
	check := func(values, want, fault string) {
		t.Helper()
		got, err := Resolve(t.Context(), optionServers(t, values), lookup, known)
		if serverTexts(got) != want {
			t.Errorf("%s: servers %q, want %q", values, serverTexts(got), want)
		}
		if err == nil && fault != "" || err != nil && err.Error() != fault {
			t.Errorf("%s: error %v, want %s", values, err, fault)
		}
	}
	check("1.2.3.4 both.example#54 /a/both.example@127.0.0.1 none.example bad.example none.example#5", "1.2.3.4#53 ::1#54 /a/127.0.0.9#53@127.0.0.1",
		"no address found for bad.example, none.example")
	if asked["both.example"] != 1 || asked["none.example"] != 1 {
		t.Errorf("names are looked up several times: %v", asked)
	}
	names["both.example"] = "127.0.0.8"
	check("/a/both.example", "/a/127.0.0.8#53", "")
	delete(names, "both.example")
	check("/a/both.example /b/bad.example", "/a/127.0.0.8#53 /b/none", "no address found for bad.example, both.example (keeping its previous address)")
	check("/a/both.example@::1", "/a/none", "no address found for both.example")
	check("1.2.3.4", "1.2.3.4#53", "")
}

// TestResolveIsBounded: names that a silent resolver is asked for take no longer together than
// one, so that SIGTERM is handled in time.
func TestResolveIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var values strings.Builder
		for i := range 1000 {
			fmt.Fprintf(&values, "/d%d/ns%d.example ", i, i/2)
		}
		silent := func(ctx context.Context, _ string) ([]netip.Addr, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		begun := time.Now()
		got, err := Resolve(t.Context(), optionServers(t, values.String()), silent, map[string][]netip.Addr{})
		if took := time.Since(begun); took != LookupTimeout || err == nil || len(got) != 1000 {
			t.Errorf("%d servers after %v, error %v", len(got), took, err != nil)
		}
	})
}

func addrs(text string) []netip.Addr { return dnstest.Addrs(strings.Fields(text)...) }

// TestOwnServers: servers that are this program itself are not asked, and no other server is
// asked about the names of their domains instead.
func TestOwnServers(t *testing.T) {
	s := Sources{Options: optionServers(t, "10.96.0.10 10.96.0.10#54 1.1.1.1 /a/10.96.0.10 /b/10.96.0.10 /b/2.2.2.2 127.0.0.1 ::1 /c/")}
	for _, row := range []struct{ own, want string }{
		{"", "10.96.0.10#53 10.96.0.10#54 1.1.1.1#53 /a/10.96.0.10#53 /b/10.96.0.10#53 /b/2.2.2.2#53 127.0.0.1#53 ::1#53 /c/"},
		{"10.96.0.10:53", "10.96.0.10#54 1.1.1.1#53 /a/none /b/none /b/2.2.2.2#53 127.0.0.1#53 ::1#53 /c/"},
		{"0.0.0.0:53", "10.96.0.10#53 10.96.0.10#54 1.1.1.1#53 /a/10.96.0.10#53 /b/10.96.0.10#53 /b/2.2.2.2#53 ::1#53 /c/"},
		{"[::]:53", "10.96.0.10#53 10.96.0.10#54 1.1.1.1#53 /a/10.96.0.10#53 /b/10.96.0.10#53 /b/2.2.2.2#53 127.0.0.1#53 /c/"},
	} {
		var own []netip.AddrPort
		if row.own != "" {
			own = append(own, netip.MustParseAddrPort(row.own))
		}
		s.Follow(nil, own)
		if text := serverTexts(s.Servers()); text != row.want {
			t.Errorf("listening on %q: %q, want %q", row.own, text, row.want)
		}
	}
}

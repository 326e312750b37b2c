package nslookup

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

func TestSearchList(t *testing.T) {
	tests := []struct {
		name, conf, ask string
		code            int
		want            []string
	}{
		{
			"as it is first with a dot", "search search1 search2", "kubernetes.default", 0,
			[]string{"kubernetes.default. A", "kubernetes.default.search1. A"},
		},
		{
			"search list first with few dots", "search search1\noptions ndots:5", "kubernetes.default", 0,
			[]string{"kubernetes.default.search1. A"},
		},
		{
			"a final dot means as it is", "search search1\noptions ndots:5", "kubernetes.default.", 1,
			[]string{"kubernetes.default. A"},
		},
		{
			"all of the list", "search search2 search3", "nx", 1,
			[]string{"nx.search2. A", "nx.search3. A", "nx. A"},
		},
		{
			"an address has no search list", "search search1", "10.96.0.1", 0,
			[]string{"1.0.96.10.in-addr.arpa. PTR"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := cluster(t)
			c := patient()
			c.ResolvConf = writeResolvConf(t, "nameserver 127.0.0.1\n"+tt.conf+"\n")
			c.ServerPort = s.port()
			args := []string{"-type=A", tt.ask}
			if _, err := netip.ParseAddr(tt.ask); err == nil {
				args = args[1:]
			}
			code, _, errs := call(t, c, args...)
			if code != tt.code {
				t.Errorf("exit %d, errors %q; want %d", code, errs, tt.code)
			}
			if diff := cmp.Diff(tt.want, s.questions()); diff != "" {
				t.Errorf("questions (-want +got):\n%s", diff)
			}
		})
	}
}

// TestServersInTurn: a server that fails, refuses or is not there is followed by
// the next one of resolv.conf.
func TestServersInTurn(t *testing.T) {
	good := newScripted(t, zone(t, map[string][]string{"x.test. A": {"x.test. 30 IN A 10.0.0.1"}}))
	bad := newScripted(t, func(_ bool, q *dns.Msg) [][]byte { return pack(t, reply(t, q, dns.RcodeServerFailure)) })
	silent := newScripted(t, func(bool, *dns.Msg) [][]byte { return nil })
	dead := netip.MustParseAddrPort("127.0.0.1:" + deadPort(t))
	tests := []struct {
		name    string
		servers []netip.AddrPort
		want    string
		ok      bool
	}{
		{"after a failure", []netip.AddrPort{bad.addr, good.addr}, good.addr.String(), true},
		{"after nobody", []netip.AddrPort{dead, good.addr}, good.addr.String(), true},
		{"after silence", []netip.AddrPort{silent.addr, good.addr}, good.addr.String(), true},
		{"a reply says more than silence", []netip.AddrPort{silent.addr, bad.addr}, bad.addr.String() + ": SERVFAIL", false},
		{"nobody at all", []netip.AddrPort{dead}, dead.String() + ": connection refused", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := patient()
			if tt.servers[0] == silent.addr {
				c.TryTimeout = 500 * time.Millisecond
			}
			ans, err := c.ask(t.Context(), tt.servers, "x.test.", []uint16{dns.TypeA})
			switch {
			case tt.ok && err != nil:
				t.Fatal(err)
			case tt.ok && ans.Server.String() != tt.want:
				t.Errorf("answered by %v, want %v", ans.Server, tt.want)
			case !tt.ok && (err == nil || err.Error() != tt.want):
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
}

func TestServerByName(t *testing.T) {
	s := newScripted(t, zone(t, map[string][]string{
		"ns.search1. A": {"ns.search1. 30 IN A 127.0.0.1"},
		"x.test. A":     {"x.test. 30 IN A 10.0.0.1"},
	}))
	c := patient()
	c.ResolvConf = writeResolvConf(t, "search search1\nnameserver 127.0.0.1\n")
	c.ServerPort = s.port()
	for _, host := range []string{"ns", "localhost"} {
		code, out, errs := call(t, c, "x.test", fmt.Sprintf("%s:%d", host, s.port()))
		if want := fmt.Sprintf("Server:\t\t%s\nAddress:\t%v\n", host, s.addr); code != 0 || !strings.HasPrefix(out, want) {
			t.Errorf("server %s: exit %d, output %q, errors %q", host, code, out, errs)
		}
	}
	code, _, errs := call(t, c, "x.test", "nobody:53")
	if want := fmt.Sprintf("nslookup: can't resolve server 'nobody' at %v: NXDOMAIN\n", s.addr); code != 1 || errs != want {
		t.Errorf("unknown server: exit %d, errors %q, want %q", code, errs, want)
	}
}

func TestReadResolvConf(t *testing.T) {
	local := []string{"127.0.0.1:53"}
	tests := []struct {
		name, text string
		want       []string
	}{
		{"three of four", "nameserver 10.0.0.1\nnameserver fd00::1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\n", []string{"10.0.0.1:53", "[fd00::1]:53", "10.0.0.2:53"}},
		{"nonsense is passed over", "nameserver nonsense\nnameserver 10.0.0.2\n", []string{"10.0.0.2:53"}},
		{"none", "search a\n", local},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			conf, err := readResolvConf(writeResolvConf(t, tt.text), dnsPort)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, texts(conf.servers)); diff != "" {
				t.Errorf("servers (-want +got):\n%s", diff)
			}
		})
	}
	conf, err := readResolvConf("/nonexistent", dnsPort)
	if err != nil || !cmp.Equal(texts(conf.servers), local) {
		t.Errorf("without a file: %v, %v; want %v", conf.servers, err, local)
	}
	if _, err := readResolvConf(t.TempDir(), dnsPort); err == nil {
		t.Error("a folder was read as resolv.conf")
	}
}

func texts(addrs []netip.AddrPort) []string {
	var list []string
	for _, a := range addrs {
		list = append(list, a.String())
	}
	return list
}

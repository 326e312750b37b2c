package nslookup

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

var comparePrefix = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

func TestParseArgs(t *testing.T) {
	lo := netip.MustParseAddr("127.0.0.1")
	tests := []struct {
		args string
		want Request
		err  string
	}{
		{args: "web", want: Request{Name: "web"}},
		{args: "web.default. 127.0.0.1", want: Request{Name: "web.default.", Server: Server{Addr: lo, Port: 53}}},
		{args: "web 127.0.0.1:10053", want: Request{Name: "web", Server: Server{Addr: lo, Port: 10053}}},
		{args: "-type=srv web", want: Request{Name: "web", Type: dns.TypeSRV}},
		{args: "--type=AAAA web", want: Request{Name: "web", Type: dns.TypeAAAA}},
		{args: "-q=TXT web", want: Request{Name: "web", Type: dns.TypeTXT}},
		{args: "web -querytype=mx", want: Request{Name: "web", Type: dns.TypeMX}},
		{args: "-- -web", want: Request{Name: "-web"}},
		{args: "10.0.0.1", want: Request{Name: "10.0.0.1"}},
		{args: "", err: "missing name"},
		{args: "a b c", err: `unexpected argument "c"`},
		{args: "-type=BOGUS web", err: `unknown record type in "-type=BOGUS"`},
		{args: "-type web", err: `unknown record type in "-type"`},
		{args: "-debug web", err: `unknown option "-debug"`},
		{args: "a..b", err: `invalid domain name "a..b"`},
		{args: strings.Repeat("x", 64), err: "invalid domain name"},
		{args: "a 127.0.0.1:0", err: `invalid port "0"`},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			got, err := ParseArgs(strings.Fields(tt.args))
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("ParseArgs(%q): error %v, want one with %q", tt.args, err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatalf("ParseArgs(%q): %v", tt.args, err)
			}
			if diff := cmp.Diff(tt.want, got, comparePrefix); diff != "" {
				t.Errorf("ParseArgs(%q) (-want +got):\n%s", tt.args, diff)
			}
		})
	}
}

func TestParseServer(t *testing.T) {
	addr := netip.MustParseAddr
	tests := []struct {
		text string
		want Server
		bad  bool
	}{
		{text: "127.0.0.1", want: Server{Addr: addr("127.0.0.1"), Port: 53}},
		{text: "127.0.0.1:10053", want: Server{Addr: addr("127.0.0.1"), Port: 10053}},
		{text: "127.0.0.1#10053", want: Server{Addr: addr("127.0.0.1"), Port: 10053}},
		{text: "::1", want: Server{Addr: addr("::1"), Port: 53}},
		{text: "[::1]", want: Server{Addr: addr("::1"), Port: 53}},
		{text: "[::1]:5353", want: Server{Addr: addr("::1"), Port: 5353}},
		{text: "::1#5353", want: Server{Addr: addr("::1"), Port: 5353}},
		{text: "fe80::1%eth0", want: Server{Addr: addr("fe80::1%eth0"), Port: 53}},
		{text: "localhost", want: Server{Host: "localhost", Port: 53}},
		{text: "kube-dns.kube-system:53", want: Server{Host: "kube-dns.kube-system", Port: 53}},
		{text: "", bad: true},
		{text: ":53", bad: true},
		{text: "127.0.0.1:", bad: true},
		{text: "127.0.0.1:65536", bad: true},
		{text: "127.0.0.1:dns", bad: true},
		{text: "[127.0.0.1]:53", bad: true},
		{text: "[::1", bad: true},
		{text: "[host]:53", bad: true},
		{text: "a#b#53", bad: true},
		{text: "http://x", bad: true},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			got, err := ParseServer(tt.text)
			if (err != nil) != tt.bad {
				t.Fatalf("ParseServer(%q): error %v, want one: %v", tt.text, err, tt.bad)
			}
			if diff := cmp.Diff(tt.want, got, comparePrefix); diff != "" {
				t.Errorf("ParseServer(%q) (-want +got):\n%s", tt.text, diff)
			}
		})
	}
}

func FuzzParseServer(f *testing.F) {
	for _, s := range []string{"127.0.0.1", "127.0.0.1#53", "[::1]:53", "::1#1", "host:9", "[", "]", "#", ":", "%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseServer(text)
		if err != nil {
			if s != (Server{}) {
				t.Errorf("ParseServer(%q) = %+v with an error", text, s)
			}
			return
		}
		if s.Port == 0 || s.Addr.IsValid() == (s.Host != "") {
			t.Errorf("ParseServer(%q) = %+v: want a port, and an address or a name", text, s)
		}
	})
}

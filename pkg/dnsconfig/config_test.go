package dnsconfig

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kube-dns/kube-dns/pkg/autopath"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

func addr(text string) Server { return Server{Addr: netip.MustParseAddrPort(text)} }

func name(text string) Server { return Server{Name: dnsname.MustParse(text)} }

var comparers = cmp.Options{
	cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }),
	cmpopts.EquateEmpty(),
}

func TestParse(t *testing.T) {
	stubs := func(domain string, servers ...Server) Config {
		return Config{StubDomains: map[dnsname.Name][]Server{dnsname.MustParse(domain): servers}}
	}
	upstream := func(servers ...Server) Config { return Config{UpstreamNameservers: servers} }
	tests := []struct {
		name, key, text string
		want            Config
	}{
		{"no data", "", "", Config{}},
		{"unknown key", "hosts", "$$$", Config{}},

		{"no federation", KeyFederations, "", Config{}},
		{"blank federations", KeyFederations, "  ", Config{}},
		{"one federation", KeyFederations, "a=b", Config{Federations: map[string]string{"a": "b"}}},
		{"two federations", KeyFederations, "a=b,cc=dd", Config{Federations: map[string]string{"a": "b", "cc": "dd"}}},
		{"blanks", KeyFederations, " a = b , cc = d.e.f\n", Config{Federations: map[string]string{"a": "b", "cc": "d.e.f"}}},
		{"dotted domain", KeyFederations, "abc=d.e.f", Config{Federations: map[string]string{"abc": "d.e.f"}}},

		{"no stubs", KeyStubDomains, "{}", Config{}},
		{"address", KeyStubDomains, `{"foo.com":["1.2.3.4"]}`, stubs("foo.com", addr("1.2.3.4:53"))},
		{"port", KeyStubDomains, `{"foo.com":["1.2.3.4:32564"]}`, stubs("foo.com", addr("1.2.3.4:32564"))},
		{"port 0", KeyStubDomains, `{"foo.com":["1.2.3.4:0"]}`, stubs("foo.com", addr("1.2.3.4:0"))},
		{"name", KeyStubDomains, `{"foo.com":["ns.foo.com"]}`, stubs("foo.com", name("ns.foo.com"))},
		{"name with a final dot", KeyStubDomains, `{"foo.com":["ns.foo.com."]}`, stubs("foo.com", name("ns.foo.com"))},
		{"v6", KeyStubDomains, `{"acme.local":["2001:db8:1:1:1::1"]}`, stubs("acme.local", addr("[2001:db8:1:1:1::1]:53"))},
		{"v6 port", KeyStubDomains, `{"acme.local":["[2001:db8:2:2:2::2]:10053"]}`, stubs("acme.local", addr("[2001:db8:2:2:2::2]:10053"))},
		{"no server", KeyStubDomains, `{"acme.local":[]}`, stubs("acme.local")},
		{
			"many servers", KeyStubDomains, `{"a":["1.1.1.1","2.2.2.2","3.3.3.3","4.4.4.4"]}`,
			stubs("a", addr("1.1.1.1:53"), addr("2.2.2.2:53"), addr("3.3.3.3:53"), addr("4.4.4.4:53")),
		},

		{"no upstream", KeyUpstreamNameservers, "[]", Config{}},
		{"one", KeyUpstreamNameservers, `["1.2.3.4"]`, upstream(addr("1.2.3.4:53"))},
		{
			"three", KeyUpstreamNameservers, `["1.2.3.4","8.8.4.4","8.8.8.8"]`,
			upstream(addr("1.2.3.4:53"), addr("8.8.4.4:53"), addr("8.8.8.8:53")),
		},
		{"blanks", KeyUpstreamNameservers, `[" 1.2.3.4 "]`, upstream(addr("1.2.3.4:53"))},
		{"IPv4-mapped", KeyUpstreamNameservers, `["::ffff:1.2.3.4"]`, upstream(addr("1.2.3.4:53"))},
		{"with port", KeyUpstreamNameservers, `["1.2.3.4:53"]`, upstream(addr("1.2.3.4:53"))},
		{"autopath", KeyAutopath, "cluster", Config{Autopath: autopath.Cluster}},
		{"autopath for all names", KeyAutopath, "all", Config{Autopath: autopath.All}},
		{"searches", KeyAutopathSearches, `["corp.internal", "Team.corp.internal.", "corp.internal."]`, Config{
			AutopathSearches: []dnsname.Name{dnsname.MustParse("corp.internal."), dnsname.MustParse("team.corp.internal.")},
		}},
		{"no searches", KeyAutopathSearches, `[]`, Config{AutopathSearches: []dnsname.Name{}}},
		{"autopath off, with a line end", KeyAutopath, "off\n", Config{Autopath: autopath.Off}},
		{
			"both v6 forms", KeyUpstreamNameservers, `["[2001:db8::1]:10053","2001:db8::2"]`,
			upstream(addr("[2001:db8::1]:10053"), addr("[2001:db8::2]:53")),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Parse(map[string]string{tt.key: tt.text})
			if err != nil {
				t.Fatalf("Parse(%s: %q): %v", tt.key, tt.text, err)
			}
			if diff := cmp.Diff(tt.want, got, comparers); diff != "" {
				t.Errorf("Parse(%s: %q): -want +got:\n%s", tt.key, tt.text, diff)
			}
		})
	}
}

func TestParseRejects(t *testing.T) {
	tests := []struct{ name, key, text, want string }{
		{"no equals sign", KeyFederations, "ccdd", `"ccdd"`},
		{"second has none", KeyFederations, "a=b,ccdd", `"ccdd"`},
		{"trailing comma", KeyFederations, "a=b,", "a comma too many"},
		{"dash", KeyFederations, "-", `"-"`},
		{"dotted name", KeyFederations, "a.b.c=d.e.f", `"a.b.c"`},
		{"upper-case name", KeyFederations, "A=b", `"A"`},
		{"bad domain", KeyFederations, "a=b_c", `"b_c"`},

		{"not json", KeyStubDomains, "foo.com=1.2.3.4", "JSON"},
		{"string for array", KeyStubDomains, `{"foo.com":"1.2.3.4"}`, "JSON"},
		{"empty domain", KeyStubDomains, `{"":["1.2.3.4"]}`, `""`},
		{"bad domain", KeyStubDomains, `{"$$$$":["1.2.3.4"]}`, `"$$$$"`},
		{"bad server", KeyStubDomains, `{"foo.com":["$$$$"]}`, `"$$$$"`},
		{"port too large", KeyStubDomains, `{"foo.com":["1.2.3.4:65564"]}`, "65564"},
		{"name with port", KeyStubDomains, `{"foo.com":["ns.foo.com:53"]}`, "ns.foo.com:53"},
		{"unbracketed v6 with zone", KeyStubDomains, `{"foo.com":["fe80::1%eth0"]}`, "fe80::1%eth0"},

		{"empty text", KeyUpstreamNameservers, "", "JSON"},
		{"four", KeyUpstreamNameservers, `["1.2.3.4","1.2.3.5","1.2.3.6","1.2.3.7"]`, "at most 3"},
		{"port abc", KeyUpstreamNameservers, `["1.2.3.4:abc"]`, "abc"},
		{"no port", KeyUpstreamNameservers, `["1.2.3.4:"]`, "1.2.3.4:"},
		{"huge port", KeyUpstreamNameservers, `["1.1.1.1:123456789"]`, "123456789"},
		{"port 0", KeyUpstreamNameservers, `["1.1.1.1:0"]`, "1.1.1.1:0"},
		{"name", KeyUpstreamNameservers, `["google.com"]`, "google.com"},
		{"name with port", KeyUpstreamNameservers, `["google.com:53"]`, "google.com:53"},
		{"bracketed v4", KeyUpstreamNameservers, `["[1.2.3.4]:53"]`, "1.2.3.4"},
		{"unspecified", KeyUpstreamNameservers, `["0.0.0.0"]`, "not the address of a server"},
		{"unspecified v6", KeyUpstreamNameservers, `["[::]:53"]`, "not the address of a server"},
		{"broadcast stub", KeyStubDomains, `{"foo.com":["255.255.255.255:5353"]}`, "not the address of a server"},
		{"multicast stub", KeyStubDomains, `{"foo.com":["224.0.0.1"]}`, "not the address of a server"},
		{"no address", KeyStubDomains, `{"foo.com":["10.0.0.256"]}`, "10.0.0.256"},
		{"leading zeros", KeyStubDomains, `{"foo.com":["010.0.0.1"]}`, "010.0.0.1"},
		{"dnsmasq's port", KeyUpstreamNameservers, `["10.0.0.2#53"]`, "write 10.0.0.2:53"},
		{"dnsmasq's port, v6", KeyStubDomains, `{"foo.com":["fd00::2#54"]}`, "write [fd00::2]:54"},
		{"searches", KeyAutopathSearches, "corp.internal", "not a JSON array"},
		{"search of no domain", KeyAutopathSearches, `["corp internal"]`, `"corp internal" is not an RFC 1123 subdomain`},
		{"search of the root", KeyAutopathSearches, `["."]`, "the root"},
		{"too many searches", KeyAutopathSearches, `["a.b","c","d","e","f","g","h","i","j"]`, "more than 8"},
		{"no autopath", KeyAutopath, "", `""`},
		{"other word", KeyAutopath, "true", `"true" is not a mode`},
		{"BOM", KeyFederations, "\ufeffa=b", "byte order mark"},
		{"empty entry", KeyUpstreamNameservers, `[""]`, `""`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			// A good key beside the bad one must not be taken.
			data := map[string]string{KeyFederations: "good=example.com"}
			data[tt.key] = tt.text
			got, err := Parse(data)
			if err == nil {
				t.Fatalf("Parse(%s: %q) = %+v, want an error", tt.key, tt.text, got)
			}
			if !strings.Contains(err.Error(), "key "+tt.key+": ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Parse(%s: %q): error %q does not name the key and %s", tt.key, tt.text, err, tt.want)
			}
			if diff := cmp.Diff(Config{}, got, comparers); diff != "" {
				t.Errorf("a rejected update left a configuration:\n%s", diff)
			}
		})
	}
}

func TestParseNamesEveryBadKey(t *testing.T) {
	_, err := Parse(map[string]string{KeyFederations: "x", KeyStubDomains: "x", KeyUpstreamNameservers: "x"})
	for _, key := range []string{KeyFederations, KeyStubDomains, KeyUpstreamNameservers} {
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("error %v does not name %s", err, key)
		}
	}
}

func TestServerString(t *testing.T) {
	for want, server := range map[string]Server{
		"1.2.3.4:53":          addr("1.2.3.4:53"),
		"[2001:db8::1]:10053": addr("[2001:db8::1]:10053"),
		"ns.foo.com":          name("ns.foo.com"),
	} {
		if got := server.String(); got != want {
			t.Errorf("String() = %q, want %q", got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(KeyFederations, "a=b,cc=dd")
	f.Add(KeyStubDomains, `{"foo.com":["1.2.3.4:53","ns.foo.com","[::1]:53"]}`)
	f.Add(KeyUpstreamNameservers, `["1.2.3.4","[2001:db8::1]:53"]`)
	f.Fuzz(func(t *testing.T, key, text string) {
		c, err := Parse(map[string]string{key: text})
		if err != nil {
			return
		}
		// What was accepted must be usable: round trips through its own text.
		for _, s := range c.UpstreamNameservers {
			again, err := ParseNameserver(s.String())
			if err != nil || again != s {
				t.Errorf("server %v does not survive its own text: %v, %v", s, again, err)
			}
		}
		for domain, servers := range c.StubDomains {
			if !dnsname.Valid([]byte(domain)) {
				t.Errorf("accepted stub domain %q is not a name", domain)
			}
			for _, s := range servers {
				again, err := parseStubServer(s.String())
				if err != nil || again != s {
					t.Errorf("stub server %v does not survive its own text: %v, %v", s, again, err)
				}
			}
		}
	})
}

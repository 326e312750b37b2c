package dnsconfig

import (
	"log/slog"
	"strings"
	"testing"
	"testing/fstest"
)

// TestTLSServers is B40: the form of NodeLocal DNSCache's ConfigMaps.
func TestTLSServers(t *testing.T) {
	for text, want := range map[string]string{
		"tls://192.0.2.1":                       "tls://192.0.2.1:853",
		" tls://192.0.2.1 ":                     "tls://192.0.2.1:853",
		"TLS://192.0.2.1%Dns.Example.Net.":      "tls://192.0.2.1%dns.example.net:853",
		"tls://192.0.2.1%dns.example.net:8853":  "tls://192.0.2.1%dns.example.net:8853",
		"tls://192.0.2.1:8853":                  "tls://192.0.2.1:8853",
		"tls://[2001:db8::1%dns.example.net]:9": "tls://[2001:db8::1%dns.example.net]:9",
		"tls://[2001:db8::1]":                   "tls://[2001:db8::1]:853",
		"tls://2001:db8::1":                     "tls://[2001:db8::1]:853",
		"tls://2001:db8::1%dns.example.net":     "tls://[2001:db8::1%dns.example.net]:853",
	} {
		for _, key := range []string{KeyUpstreamNameservers, KeyStubDomains} {
			value, of := `["`+text+`"]`, func(c Config) []Server { return c.UpstreamNameservers }
			if key == KeyStubDomains {
				value, of = `{"example.org": `+value+`}`, func(c Config) []Server {
					for _, servers := range c.StubDomains {
						return servers
					}
					return nil
				}
			}
			c, err := Parse(map[string]string{key: value})
			if err != nil || len(of(c)) != 1 || !of(c)[0].TLS || of(c)[0].String() != want {
				t.Errorf("%s %s: %v, %v; want %s", key, text, of(c), err, want)
				continue
			}
			if again, err := ParseNameserver(want); err != nil || again != of(c)[0] {
				t.Errorf("%s: read again: %v, %v", want, again, err)
			}
		}
	}
}

func TestTLSServersRejected(t *testing.T) {
	for _, text := range []string{
		"tls://", "tls://dns.example.net", "tls://dns.example.net:853", "tls://192.0.2.1#dns.example.net", "tls://192.0.2.1:853#dns.example.net",
		"tls://192.0.2.1:0", "tls://192.0.2.1:65536", "tls://192.0.2.1:", "tls://192.0.2.1:x", "tls://192.0.2.1%", "tls://192.0.2.1%a b",
		"tls://192.0.2.1/", "tls://192.0.2.1/dns-query", "tls://[192.0.2.1]:853", "tls://[2001:db8::1", "tls://[2001:db8::1]x", "tls://2001:db8::1%n:853", "tls://2001:db8::1:853", "tls://2001:db8::1:853%n", "tls://255.255.255.255",
		"tls://0.0.0.0", "tls://[::]", "tls://224.0.0.1", "tls:192.0.2.1", "tls:/192.0.2.1", "https://192.0.2.1/dns-query", "dns://192.0.2.1",
		"tls://tls://192.0.2.1", "tls://192.0.2.1 192.0.2.2",
	} {
		for _, data := range []map[string]string{
			{KeyUpstreamNameservers: `["` + text + `"]`}, {KeyStubDomains: `{"example.org": ["` + text + `"]}`},
		} {
			if c, err := Parse(data); err == nil {
				t.Errorf("%s is taken: %v", text, c)
			} else if strings.HasPrefix(text, "tls://1") && strings.Contains(text, "#") && !strings.Contains(err.Error(), "after %") {
				t.Errorf("%s: %v", text, err)
			}
		}
	}
}

// TestTLSMixed is B8 and B41.
func TestTLSMixed(t *testing.T) {
	for value, ok := range map[string]bool{
		`["tls://192.0.2.1", "tls://192.0.2.2"]`:                            true,
		`["tls://192.0.2.1", "192.0.2.2"]`:                                  false,
		`["192.0.2.2", "tls://192.0.2.1"]`:                                  false,
		`["tls://192.0.2.1","tls://192.0.2.2","tls://192.0.2.3"]`:           true,
		`["tls://1.1.1.1","tls://1.1.1.2","tls://1.1.1.3","tls://1.1.1.4"]`: false,
	} {
		if _, err := Parse(map[string]string{KeyUpstreamNameservers: value}); (err == nil) != ok {
			t.Errorf("%s: %v", value, err)
		}
	}
	for value, ok := range map[string]bool{
		`{"a": ["tls://192.0.2.1"], "b": ["192.0.2.1"]}`: true,
		`{"a": ["tls://192.0.2.1", "192.0.2.1"]}`:        false,
		`{"a": ["tls://192.0.2.1", "name.example"]}`:     false,
	} {
		if _, err := Parse(map[string]string{KeyStubDomains: value}); (err == nil) != ok {
			t.Errorf("%s: %v", value, err)
		}
	}
}

// TestTLSWithheld: as long as no configuration was valid, one with servers over TLS that
// cannot be used means that nobody is asked, in whatever way it is broken.
func TestTLSWithheld(t *testing.T) {
	secure := &fstest.MapFile{Data: []byte(`["tls://192.0.2.1"]`)}
	for name, c := range map[string]struct {
		files    fstest.MapFS
		withheld bool
	}{
		"a file that is not text":        {fstest.MapFS{KeyUpstreamNameservers: secure, "logo": {Data: []byte{0xff, 0xfe}}}, true},
		"a file that is not text, first": {fstest.MapFS{KeyUpstreamNameservers: secure, "a": {Data: []byte{0xff, 0xfe}}}, true},
		"the servers are not text":       {fstest.MapFS{KeyUpstreamNameservers: {Data: []byte("[\"tls://192.0.2.1\xff\"]")}}, true},
		"not JSON":                       {fstest.MapFS{KeyUpstreamNameservers: {Data: []byte("tls://192.0.2.1")}}, true},
		"another key is invalid":         {fstest.MapFS{KeyUpstreamNameservers: secure, KeyStubDomains: {Data: []byte("{")}}, true},
		"a misspelt key":                 {fstest.MapFS{"UpstreamNameServers": secure}, true},
		"nothing over TLS":               {fstest.MapFS{KeyUpstreamNameservers: {Data: []byte("[")}, "logo": {Data: []byte{0xff}}}, false},
		"a key of something else":        {fstest.MapFS{"Corefile": secure, KeyStubDomains: {Data: []byte("{")}}, false},
	} {
		var applied []Config
		p := &Poller{FS: c.files, Apply: func(c Config) { applied = append(applied, c) }, Logger: slog.New(slog.DiscardHandler)}
		p.Load()
		p.Load()
		if withheld := len(applied) == 1 && applied[0].Withheld; withheld != c.withheld || !withheld && len(applied) != 0 {
			t.Errorf("%s: applied %+v", name, applied)
		}
		if c.withheld != strings.Contains(p.tracker.Fallback(), "asking no upstream servers") {
			t.Errorf("%s: %s", name, p.tracker.Fallback())
		}
	}
}

// FuzzTLSServer holds that what begins with tls:// is asked over TLS or rejected,
// and that what is accepted is read as the same again.
func FuzzTLSServer(f *testing.F) {
	for _, seed := range []string{"192.0.2.1", "192.0.2.1%n:853", "[2001:db8::1%n]:853", "::1%n", "[::1]:0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		server, err := parseStubServer(tlsScheme + text)
		if err != nil {
			return
		}
		if !server.TLS || server.Addr.Port() == 0 || server.Name != "" {
			t.Fatalf("%q: %+v", text, server)
		}
		if again, err := ParseNameserver(server.String()); err != nil || again != server {
			t.Fatalf("%q: %v is read as %v, %v", text, server, again, err)
		}
	})
}

package options

import (
	"strings"
	"testing"
)

// parsed reads a command line as the program does.
func parsed(t *testing.T, args ...string) (*Options, error) {
	t.Helper()
	o, err := Parse(append([]string{"--no-resolv", "--conf-file="}, args...), NoFiles())
	if err == nil {
		err = o.Validate()
	}
	return o, err
}

const pin = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

// TestTLSServer is B9 and B10: what is accepted, and how it is written back.
func TestTLSServer(t *testing.T) {
	for value, want := range map[string]string{
		"tls:192.0.2.1": "tls:192.0.2.1#853",
		"tcp:192.0.2.1": "tcp:192.0.2.1#53", "TCP:[2001:db8::1]#54@eth0": "tcp:2001:db8::1#54@eth0", "/a/tcp:192.0.2.1@192.0.2.9": "/a/tcp:192.0.2.1#53@192.0.2.9",
		"TLS:192.0.2.1#8853,name=Dns.Example.Net.":  "tls:192.0.2.1#8853,name=dns.example.net",
		"/example.org/tls:192.0.2.1,name=n.example": "/example.org/tls:192.0.2.1#853,name=n.example",
		"tls:::1#853":                                  "tls:::1#853",
		"tls:[2001:db8::1]#8853":                       "tls:2001:db8::1#8853",
		"tls:192.0.2.1@eth0,name=n":                    "tls:192.0.2.1#853@eth0,name=n",
		"tls:192.0.2.1@192.0.2.9":                      "tls:192.0.2.1#853@192.0.2.9",
		"tls:192.0.2.1@eth0@192.0.2.9,pin=" + pin:      "tls:192.0.2.1#853@eth0@192.0.2.9,pin=" + pin,
		"tls:192.0.2.1,pin=" + pin + ",pin=" + pin:     "tls:192.0.2.1#853,pin=" + pin,
		"tls:192.0.2.1,name=192.0.2.7":                 "tls:192.0.2.1#853,name=192.0.2.7",
		"tls:192.0.2.1, name=n , pin=" + pin:           "tls:192.0.2.1#853,name=n,pin=" + pin,
		"tls:fe80::1%eth0,name=n":                      "tls:fe80::1%eth0#853,name=n",
		"tls:192.0.2.1,name=n.example,pin=" + pin + "": "tls:192.0.2.1#853,name=n.example,pin=" + pin,
	} {
		o, err := parsed(t, "--server="+value)
		if err != nil || len(o.Upstream.Servers) != 1 || o.Upstream.Servers[0].String() != want {
			t.Errorf("%s: %v, %v; want %s", value, o.Upstream.Servers, err, want)
			continue
		}
		again, err := parsed(t, "--server="+want)
		if err != nil || again.Upstream.Servers[0] != o.Upstream.Servers[0] {
			t.Errorf("%s: read again: %v, %v", want, again.Upstream.Servers, err)
		}
	}
	o, err := parsed(t, "--rev-server=10.0.0.0/8,tls:192.0.2.1,name=n", "--server=/a/b/tls:192.0.2.2")
	if s := o.Upstream.Servers; err != nil || len(s) != 3 || !s[0].TLS.On || s[0].TLS.Name != "n" || !s[1].TLS.On || !s[2].TLS.On {
		t.Errorf("%v, %v", s, err)
	}
	servers, faults := ParseServersFile("f", []byte("server=\"tls:192.0.2.1,name=n\"\nserver=/a/tls:192.0.2.2\n"))
	if len(faults) != 0 || len(servers) != 2 || !servers[0].TLS.On || !servers[1].TLS.On {
		t.Errorf("%v, %v", servers, faults)
	}
}

// TestTLSServerRefused is B9: what would be asked in clear text or not at all.
func TestTLSServerRefused(t *testing.T) {
	for _, value := range []string{
		"tls://192.0.2.1", "/example.org/tls://192.0.2.1", "/d/TLS://127.0.0.1", "/a/b/tls://192.0.2.1#853", "tls:///192.0.2.1",
		"/d/tls:/192.0.2.1", "/d/tls:192.0.2.1/24", "/d/tls:192.0.2.1,name=/n", "/d/tls:192.0.2.1,ca=/etc/ca.pem", "tls:192.0.2.1,ca=/etc/ca.pem",
		"tls:", "tls:dns.example.net", "tls:192.0.2.1:853", "tls:192.0.2.1#0", "tls:192.0.2.1#", "tls:192.0.2.1#65536",
		"tls:192.0.2.1#dns.example.net", "tls:192.0.2.1@192.0.2.9#53", "tls:192.0.2.1@2001:db8::1", "tls:0.0.0.0", "tls:224.0.0.1",
		"tls:192.0.2.1,name=", "tls:192.0.2.1,name=a,name=b", "tls:192.0.2.1,name=a b", "tls:192.0.2.1,pin=", "tls:192.0.2.1,pin=" + pin[1:],
		"tls:192.0.2.1,pin=" + pin[1:] + "x", "tls:192.0.2.1,", "tls:192.0.2.1,verify=no", "tls:tls:192.0.2.1", "tls :192.0.2.1",
		"https://192.0.2.1/dns-query", "/example.org/https://192.0.2.1", "/d/tcp://192.0.2.1", "tcp://192.0.2.1", "tcp:", "tcp:192.0.2.1:53", "tcp:192.0.2.1#0",
		"tcp:192.0.2.1,name=n", "tcp:192.0.2.1@192.0.2.9#53", "tcp:tls:192.0.2.1", "tcp:tcp:192.0.2.1", "/d/tcp:192.0.2.1/24", "tls:tcp:192.0.2.1", "tls:192.0.2.1%n.example", "tls:192.0.2.1@853",
		"tls:192.0.2.1@853#n.example", "tls:[2001:db8::1]:853", "tls:2001:db8::1:853", "tls:255.255.255.255", "tls:192.0.2.1%n.example:853", "tls:n.example:853", "192.0.2.1#853,name=n", "192.0.2.1,pin=" + pin, "/d/dns://192.0.2.1",
	} {
		o, err := parsed(t, "--server="+value)
		if err == nil {
			t.Errorf("%s is taken for %v", value, o.Upstream.Servers)
			continue
		}
		if text := strings.ToLower(value); (strings.Contains(text, "tls:") && !strings.Contains(text, "tcp:") || strings.Contains(text, "name=") || strings.Contains(text, "pin=")) &&
			!strings.Contains(err.Error(), "tls:ADDRESS") && !strings.Contains(err.Error(), "invalid server address") && !strings.Contains(err.Error(), "source address") {
			t.Errorf("%s: %v does not show the right form", value, err)
		}
		if len(o.Upstream.Servers) != 0 {
			t.Errorf("%s leaves %v", value, o.Upstream.Servers)
		}
	}
	for _, value := range []string{"10.0.0.0/8,tls://192.0.2.1", "10.0.0.0/8,tls:name", "10.0.0.0/8,tls:192.0.2.1,name"} {
		if o, err := parsed(t, "--rev-server="+value); err == nil {
			t.Errorf("%s is taken for %v", value, o.Upstream.Servers)
		}
	}
}

// TestTLSMixed is B8.
func TestTLSMixed(t *testing.T) {
	for args, ok := range map[string]bool{
		"--server=tls:192.0.2.1 --server=192.0.2.2":                               false,
		"--server=tls:192.0.2.1 --server=tls:192.0.2.2":                           true,
		"--server=tcp:192.0.2.1 --server=192.0.2.2":                               true,
		"--server=tcp:192.0.2.1 --server=tls:192.0.2.2":                           false,
		"--server=/a/tls:192.0.2.1 --server=192.0.2.2":                            true,
		"--server=/a/tls:192.0.2.1 --server=/a/192.0.2.2":                         false,
		"--server=/a/tls:192.0.2.1 --server=/b/a/192.0.2.1":                       false,
		"--server=/a/tls:192.0.2.1 --server=/b/192.0.2.1":                         true,
		"--server=tls:192.0.2.1 --local=/a/":                                      true,
		"--rev-server=10.0.0.0/8,tls:192.0.2.1 --rev-server=10.0.0.0/8,192.0.2.1": false,
		// The standard servers are those of a domain with "#", whatever else it has.
		"--server=/a/tls:192.0.2.1 --server=/a/# --server=192.0.2.2":                            false,
		"--server=192.0.2.2 --server=/a/# --server=/a/tls:192.0.2.1":                            false,
		"--server=/a/192.0.2.1 --server=/b/a/# --server=tls:192.0.2.2":                          false,
		"--rev-server=10.0.0.0/9,tls:192.0.2.1 --rev-server=10.0.0.0/9,# --server=/#/192.0.2.2": false,
		"--server=/a/tls:192.0.2.1 --server=/a/# --server=tls:192.0.2.2":                        true,
		"--server=/a/tls:192.0.2.1 --server=/a/#":                                               true,
		"--server=/a/tls:192.0.2.1 --server=/b.a/# --server=192.0.2.2":                          true,
	} {
		if _, err := parsed(t, strings.Fields(args)...); (err == nil) != ok {
			t.Errorf("%s: %v", args, err)
		}
	}
	for args, ok := range map[string]bool{"--server=tls:192.0.2.1": false, "--server=/a/tls:192.0.2.1": true, "--server=/a/tls:192.0.2.1 --server=/a/#": false} {
		o, err := Parse(append([]string{"--conf-file="}, strings.Fields(args)...), NoFiles())
		if err == nil {
			err = o.Validate()
		}
		if (err == nil) != ok {
			t.Errorf("%s while resolv.conf is read: %v", args, err)
		}
	}
}

// FuzzTLSServer holds that a server with "tls" in it is asked over TLS or refused,
// and that what is accepted is written so that it is read again.
func FuzzTLSServer(f *testing.F) {
	for _, seed := range []string{"192.0.2.1", "192.0.2.1#853,name=n", "//192.0.2.1", "/192.0.2.1", ":::1", "192.0.2.1,pin=" + pin, "a/b/1.2.3.4"} {
		f.Add("", seed)
		f.Add("/d/", seed)
	}
	f.Fuzz(func(t *testing.T, domains, text string) {
		if domains != "" && (domains[0] != '/' || domains[len(domains)-1] != '/') || strings.Contains(domains, "tls:") {
			return
		}
		servers, err := parseServer(domains + "tls:" + text)
		if err != nil {
			return
		}
		for _, s := range servers {
			if s.Kind == ServerAsk && !s.TLS.On {
				t.Fatalf("%q is asked in clear text: %v", domains+"tls:"+text, s)
			}
			again, err := parseServer(s.String())
			if err == nil && s.Domain.Match != 0 && len(again) == 1 && again[0].TLS != s.TLS {
				t.Fatalf("%v is read as %v", s, again)
			}
		}
	})
}

package options

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// samples returns a value for every option that takes one and does something.
func samples() map[string]string {
	return map[string]string{
		"log-facility": "daemon", "log-queries": "extra", "log-async": "5", "pid-file": "/p", "user": "u", "group": "g",
		"servers-file": "/s", "port": "54", "listen-address": "1.2.3.4", "interface": "a,b*", "except-interface": "c",
		"max-tcp-connections": "5", "local-service": "host", "server": "1.2.3.4", "local": "/a/", "rev-server": "10.0.0.0/8,1.2.3.4", "resolv-file": "/r",
		"dns-forward-max": "5", "fast-dns-retry": "100", "query-port": "5", "min-port": "5", "max-port": "5", "port-limit": "2",
		"edns-packet-max": "4096", "cache-size": "5", "neg-ttl": "5", "max-ttl": "5", "max-cache-ttl": "5", "min-cache-ttl": "5",
		"use-stale-cache": "5", "cache-rr": "TXT", "filter-rr": "TXT,ANY", "rebind-domain-ok": "/a/b/", "bogus-nxdomain": "1.2.3.4",
		"ignore-address": "1.2.3.0/24", "alias": "1.2.3.1-1.2.3.9,5.6.7.0,255.255.255.0", "local-ttl": "5", "address": "/a/1.2.3.4",
		"addn-hosts": "/h", "hostsdir": "/h", "domain": "a.b", "domain-suffix": "a.b", "host-record": "a,1.2.3.4", "cname": "a,b",
		"txt-record": "a,b", "srv-host": "_a._b,c,1,2,3", "ptr-record": "a,b", "mx-host": "a,b,5", "naptr-record": "a,1,2,s,x,y",
		"caa-record": "a,0,issue,v", "dns-rr": "a,5,00", "synth-domain": "a.b,10.0.0.1,10.0.0.9,p-*", "serve-stale": "5s",
		"metrics-address": "127.0.0.1:1", "tls-ca-file": "/c", "tls-cert-file": "/c", "tls-key-file": "/k", "lameduck": "5s", "rate-limit": "5,10", "log-format": "json", "metrics-set": "essential", "server-replicas": "a.b#54",
		"add-mac": "text", "add-subnet": "24,64", "add-cpe-id": "x", "umbrella": "orgid:5", "mx-target": "a",
		"interface-name": "a,lo/4", "dynamic-host": "a,0.0.0.5,lo",
		// These read files or name devices that there is nothing of in the result.
		"conf-file": "", "conf-dir": "", "conf-script": "", "no-dhcp-interface": "x", "no-dhcpv4-interface": "x", "no-dhcpv6-interface": "x",
	}
}

// TestEveryImplementedOptionSetsSomething holds that no option is read and
// forgotten.
func TestEveryImplementedOptionSetsSomething(t *testing.T) {
	values := samples()
	exported := cmp.Options{compare, cmpopts.EquateEmpty()}
	for _, spec := range Table() {
		if spec.Status == Refused {
			continue
		}
		word := "--" + spec.Name
		if spec.Arg != NoArgument {
			value, ok := values[spec.Name]
			if !ok {
				t.Errorf("--%s has no sample value", spec.Name)
				continue
			}
			delete(values, spec.Name)
			word += "=" + value
		}
		o, err := Parse([]string{word}, NoFiles())
		if err != nil {
			t.Errorf("%s: %v", word, err)
			continue
		}
		changes := !cmp.Equal(o, Defaults(), exported)
		if want := spec.Status == Implemented && word != "--conf-file=" && word != "--conf-dir=" && word != "--conf-script="; changes != want {
			t.Errorf("%s changes something: %v, want %v", word, changes, want)
		}
	}
	if len(values) > 0 {
		t.Errorf("sample values for unknown options: %q", slices.Sorted(maps.Keys(values)))
	}
}

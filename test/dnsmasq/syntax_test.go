package dnsmasq

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestBlanks: dnscache accepts blanks around commas and slashes where dnsmasq does. Each line
// is checked with --test.
func TestBlanks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	lines := []string{
		"address=/a.com/192.0.2.1", "address=/a.com/b.com/192.0.2.1", "server=/a.com/192.0.2.1", "local=/a/b/", "server=192.0.2.1@192.0.2.2",
		"rev-server=192.0.2.0/24,192.0.2.1", "listen-address=127.0.0.1,127.0.0.2", "interface=lo,eth0", "except-interface=lo,eth0",
		"host-record=a,b,192.0.2.1,60", "host-record=a,192.0.2.1,", "cname=a,b,60", "txt-record=a,one,two", "srv-host=_a._tcp.x,b,80,1,2",
		"ptr-record=a,b", "ptr-record=a,", "mx-host=a,b,5", "naptr-record=a,1,2,s,SIP+D2U,!x!,b", "caa-record=a,0,issue,le.org",
		"dns-rr=a,51,01:23", "dns-rr=a,51,01 23", "synth-domain=a,10.0.0.0/24,p-", "synth-domain=a,10.0.0.0,10.0.0.9,p-*",
		"domain=a,10.0.0.0/24,local", "domain=a,10.0.0.1,10.0.0.9", "domain=.lan", "alias=192.0.2.1,192.0.3.1",
		"alias=192.0.2.1-192.0.2.9,192.0.3.0,255.255.255.0", "bogus-nxdomain=192.0.2.0/24", "ignore-address=192.0.2.0/24",
		"rebind-domain-ok=/a/b/", "filter-rr=A,TXT", "cache-rr=TXT,MX", "add-subnet=24,64", "add-subnet=192.0.2.1/24,::1/64",
		"umbrella=orgid:1,assetid:2", "fast-dns-retry=500,1000", "conf-dir=$DIR/d,.bak,*.conf", "interface-name=a,lo/4",
		"dynamic-host=a,0.0.0.8,lo", "server=/./192.0.2.1", "address=/./192.0.2.1", "local=/./", "server=/x/#",
		"ptr-record=_http._tcp.x,My Printer._http._tcp.x", "srv-host=My Printer._http._tcp.x,host.x,80", "txt-record=My Printer._http._tcp.x,a=b",
		"cname=a b,c d", "host-record=a b,192.0.2.1", "address=/a b/192.0.2.1", "domain=a b", "caa-record=a b,0,issue,x",
	}
	accepts := func(program, line string) bool {
		path := filepath.Join(dir, "conf")
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(line, "$DIR", dir)+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return exec.CommandContext(t.Context(), program, "--test", "--conf-file="+path).Run() == nil
	}
	both := 0
	for _, line := range lines {
		name, value, _ := strings.Cut(line, "=")
		variants := []string{line}
		for i := range len(value) {
			if value[i] == ',' || value[i] == '/' && !strings.HasPrefix(value, "$DIR") {
				for _, format := range []string{" %s", "%s ", " \t%s  "} {
					variants = append(variants, name+"="+value[:i]+fmt.Sprintf(format, value[i:i+1])+value[i+1:])
				}
			}
		}
		for _, variant := range variants {
			if !accepts(dnsmasqPath, variant) {
				continue
			}
			both++
			if !accepts(filepath.Join(bin, "dnscache"), variant) {
				t.Errorf("%q is refused, dnsmasq accepts it", variant)
			}
		}
	}
	if both < 300 {
		t.Errorf("dnsmasq accepts only %d lines", both)
	}
}

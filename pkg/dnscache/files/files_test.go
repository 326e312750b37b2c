package files

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/netif"
	"github.com/kube-dns/kube-dns/test/dnstest"
	"github.com/kube-dns/kube-dns/test/dnstest/logtest"
)

func addrTexts(list []netip.Addr) string {
	var texts []string
	for _, a := range list {
		texts = append(texts, a.String())
	}
	return strings.Join(texts, " ")
}

func TestResolvFiles(t *testing.T) {
	log, text := logtest.Open(t)
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	r := FollowResolv([]string{a, b}, log, OwnServer([]string{defaultResolv},
		[]netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:53"), netip.MustParseAddrPort("10.0.0.2:5353")}, netif.All))
	old := time.Now().Add(-time.Hour)
	for _, step := range []struct {
		name    string
		do      func()
		changed bool
		servers string
		logged  string
	}{
		{"nothing there", func() {}, false, "", "failed to access " + a + ": No such file or directory\n"},
		{"still nothing", func() {}, false, "", ""},
		{"one file", func() { dnstest.Replace(t, a, "nameserver 1.1.1.1\n") }, true, "1.1.1.1", "reading " + a + "\n"},
		{"no change", func() {}, false, "1.1.1.1", ""},
		{"an older file does not count", func() {
			dnstest.Replace(t, b, "nameserver 2.2.2.2\n")
			if err := os.Chtimes(b, old, old); err != nil {
				t.Fatal(err)
			}
		}, false, "1.1.1.1", ""},
		{"same time and size, other file", func() {
			info, err := os.Stat(a)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Link(a, filepath.Join(dir, "keep its inode")); err != nil {
				t.Fatal(err)
			}
			dnstest.Replace(t, a, "nameserver 3.3.3.3\n")
			if err := os.Chtimes(a, info.ModTime(), info.ModTime()); err != nil {
				t.Fatal(err)
			}
		}, true, "3.3.3.3", "reading " + a + "\n"},
		{
			"own and loopback addresses", func() { dnstest.Replace(t, a, "nameserver 127.0.0.53\nnameserver 10.0.0.1\nnameserver 10.0.0.2\n") }, true, "10.0.0.2",
			"ignoring nameserver 127.0.0.53 - local interface\nignoring nameserver 10.0.0.1 - local interface\nreading " + a + "\n",
		},
		{
			"addresses of many servers", func() {
				dnstest.Replace(t, a, "nameserver 255.255.255.255\nnameserver ::ffff:224.0.0.1\nnameserver ff02::1%lo\nnameserver 10.0.0.4\n")
			}, true, "10.0.0.4",
			"ignoring nameserver 255.255.255.255 - not the address of one server\nignoring nameserver ::ffff:224.0.0.1 - not the address of one server\n" +
				"ignoring nameserver ff02::1%lo - not the address of one server\nreading " + a + "\n",
		},
		{"empty keeps the servers", func() { dnstest.Replace(t, a, "search x\n") }, false, "10.0.0.4", "no servers found in " + a + ", will retry\n"},
		{"gone, the older one counts", func() {
			if err := os.Remove(a); err != nil {
				t.Fatal(err)
			}
		}, true, "2.2.2.2", "reading " + b + "\n"},
	} {
		t.Run(step.name, func(t *testing.T) {
			before := text()
			step.do()
			changed := r.Poll(false)
			if logged := strings.TrimPrefix(text(), before); changed != step.changed || addrTexts(r.Servers) != step.servers || logged != step.logged {
				t.Errorf("changed %v, servers %q, log %q; want %v, %q, %q",
					changed, addrTexts(r.Servers), logged, step.changed, step.servers, step.logged)
			}
		})
	}
	if !r.Poll(true) {
		t.Error("a forced reading reports no change")
	}

	// While other servers replace those of the file, changes of the file are not logged.
	before := text()
	r.Use(false)
	dnstest.Replace(t, b, "search x\n")
	r.Poll(false)
	dnstest.Replace(t, b, "nameserver 127.0.0.53\nnameserver 4.4.4.4\n")
	r.Poll(false)
	if logged := strings.TrimPrefix(text(), before); logged != "" || addrTexts(r.Servers) != "4.4.4.4" {
		t.Errorf("unused file: servers %q, log %q", addrTexts(r.Servers), logged)
	}
	r.Use(true)
	if logged := strings.TrimPrefix(text(), before); !strings.HasSuffix(logged, "reading "+b+"\n") {
		t.Errorf("used again: log %q", logged)
	}
}

func TestHostsFiles(t *testing.T) {
	log, text := logtest.Open(t)
	dir := t.TempDir()
	for name, content := range map[string]string{
		"one":       "1.2.3.4 a b.c\n",
		"d/z":       "1.2.3.5 z\nnonsense here\n",
		"d/y":       "1.2.3.6 y\n",
		"d/y~":      "1.2.3.7 old\n",
		"d/.hidden": "1.2.3.8 hidden\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		dnstest.Replace(t, path, content)
	}
	local := &options.Local{
		NoHosts: true, AddnHosts: []string{dir + "/one", dir + "/none"}, HostsDirs: []string{dir + "/d"},
		ExpandHosts: true, Domain: "\x01x\x00",
	}
	loader := Hosts{Options: local, Log: log}
	loader.Read(nil, false)
	var got []string
	loader.Table.Each(func(name []byte, addr netip.Addr, reverse bool, source string) bool {
		got = append(got, fmt.Sprint(filepath.Base(source), " ", addr, " ", dnsname.Name(name), " ", reverse))
		return true
	})
	if want := []string{
		"one 1.2.3.4 a.x. true", "one 1.2.3.4 a. false", "one 1.2.3.4 b.c. false",
		"y 1.2.3.6 y.x. true", "y 1.2.3.6 y. false", "z 1.2.3.5 z.x. true", "z 1.2.3.5 z. false",
	}; !slices.Equal(got, want) {
		t.Errorf("read %q, want %q", got, want)
	}
	want := "read D/one - 3 names\nfailed to load names from D/none: No such file or directory\n" +
		"read D/d/y - 2 names\nbad address at D/d/z line 2\nread D/d/z - 2 names\n"
	if diff := cmp.Diff(want, strings.ReplaceAll(text(), dir, "D")); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}

	if loader.Changed() {
		t.Error("the directory changes by itself")
	}
	dnstest.Replace(t, dir+"/d/y", "1.2.3.6 y yy\n")
	if !loader.Changed() {
		t.Error("a change is not seen")
	}
	loader.Read(nil, false)
	if loader.Changed() {
		t.Error("what was read counts as a change")
	}
	// As on a volume whose files all have one time: another file of the same size.
	info, err := os.Stat(dir + "/d/y")
	if err != nil {
		t.Fatal(err)
	}
	dnstest.Replace(t, dir+"/new", "1.2.3.7 y yy\n")
	if err := os.Chtimes(dir+"/new", info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(dir+"/new", dir+"/d/y"); err != nil {
		t.Fatal(err)
	}
	if !loader.Changed() {
		t.Error("another file with the same time and size is not noticed")
	}
}

func TestLoopbackServersOfResolvFiles(t *testing.T) {
	list := func() (netif.List, error) { return nil, nil }
	addrs := func(texts ...string) (list []netip.AddrPort) {
		for _, text := range texts {
			list = append(list, netip.MustParseAddrPort(text))
		}
		return list
	}
	for _, tt := range []struct {
		path      string
		listening []netip.AddrPort
		server    string
		own       bool
	}{
		{defaultResolv, addrs("127.0.0.1:5301"), "127.0.0.53", true},
		{"/x", addrs("127.0.0.1:5301"), "127.0.0.53", false},
		{"/x", addrs("127.0.0.1:5301"), "127.0.0.1", false},
		{"/x", addrs("127.0.0.1:53"), "127.0.0.1", true},
		{"/x", addrs("127.0.0.1:53"), "127.0.0.53", false},
		{"/x", addrs("0.0.0.0:53"), "127.0.0.53", true},
		{"/x", addrs("[::1]:53"), "::1", true},
		{"/x", addrs("127.0.0.1:53"), "::1", false},
	} {
		own := OwnServer([]string{tt.path}, tt.listening, list)
		if got := own(netip.MustParseAddr(tt.server)); got != tt.own {
			t.Errorf("server %s of %s, listening on %v: own %v", tt.server, tt.path, tt.listening, got)
		}
	}
}

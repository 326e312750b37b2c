package main

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
)

func addrs(text string) []netip.Addr {
	var list []netip.Addr
	for field := range strings.FieldsSeq(text) {
		list = append(list, netip.MustParseAddr(field))
	}
	return list
}

func addrTexts(list []netip.Addr) string {
	var texts []string
	for _, a := range list {
		texts = append(texts, a.String())
	}
	return strings.Join(texts, " ")
}

func TestListenAddrs(t *testing.T) {
	interfaces := func() ([]iface, error) {
		return []iface{
			{name: "lo", addrs: addrs("127.0.0.1 ::1")},
			{name: "eth0", addrs: addrs("10.0.0.1 fe80::1%eth0")},
			{name: "eth1", addrs: addrs("10.0.1.1")},
		}, nil
	}
	for _, tt := range []struct{ name, args, want string }{
		{"addresses", "--listen-address=10.0.0.1,::1", "10.0.0.1 ::1"},
		{"interface includes lo", "--interface=eth1", "127.0.0.1 ::1 10.0.1.1"},
		{"prefix", "--interface=eth*", "127.0.0.1 ::1 10.0.0.1 fe80::1%eth0 10.0.1.1"},
		{"except wins over interface", "--interface=eth* --except-interface=eth0 --except-interface=lo", "10.0.1.1"},
		{"except wins over address", "--listen-address=10.0.0.1,10.0.1.1 --except-interface=eth0", "10.0.1.1"},
		{"except alone", "--except-interface=eth0", "127.0.0.1 ::1 10.0.1.1"},
		{"address and interface", "--listen-address=10.0.0.1 --interface=lo", "10.0.0.1 127.0.0.1 ::1"},
		{"bind-interfaces alone", "--bind-interfaces", "127.0.0.1 ::1 10.0.0.1 fe80::1%eth0 10.0.1.1"},
		{"bind-interfaces and address", "--bind-interfaces --listen-address=10.0.0.1", "10.0.0.1"},
		{"unknown", "--interface=eth7", "error: unknown interface eth7"},
		{"nothing left", "--interface=lo --except-interface=lo", "error: no interface is left to listen on"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o, err := options.Parse(strings.Fields(tt.args), options.NoFiles())
			if err != nil {
				t.Fatal(err)
			}
			list, err := listenAddrs(&o.Listen, interfaces)
			got := addrTexts(list)
			if err != nil {
				got = "error: " + err.Error()
			}
			if got != tt.want {
				t.Errorf("listenAddrs(%s) = %q, want %q", tt.args, got, tt.want)
			}
		})
	}
	list, err := listenAddrs(&options.Listen{}, interfaces)
	if err != nil || len(list) == 0 || list[0] != netip.IPv4Unspecified() {
		t.Errorf("without options: %v, %v; want the wildcards", list, err)
	}
}

func TestSystemInterfacesHasLoopback(t *testing.T) {
	all, err := systemInterfaces()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(all, func(i iface) bool { return slices.Contains(i.addrs, netip.MustParseAddr("127.0.0.1")) }) {
		t.Errorf("127.0.0.1 is not among %v", all)
	}
}

func TestChooseIdentity(t *testing.T) {
	root := os.Geteuid() == 0
	for _, tt := range []struct {
		user, group string
		noDaemon    bool
		want        identity
		err         string
	}{
		{want: identity{uid: 65534, gid: 65534, change: root}},
		{user: "root", want: identity{gid: 0, asked: true, change: root && os.Getegid() != 0}},
		{user: "123456", want: identity{uid: 123456, gid: 123456, asked: true, change: root}},
		{user: "123456", group: "77777", want: identity{uid: 123456, gid: 77777, asked: true, change: root}},
		{group: "root", want: identity{uid: 65534, asked: true, change: root}},
		{noDaemon: true, want: identity{uid: 65534, gid: 65534}},
		{user: "no-such-user", err: "unknown user or group: no-such-user"},
		{group: "no-such-group", err: "unknown user or group: no-such-group"},
		{user: "-1", err: "unknown user or group: -1"},
	} {
		got, err := chooseIdentity(tt.user, tt.group, tt.noDaemon)
		if tt.err != "" {
			if err == nil || err.Error() != tt.err {
				t.Errorf("user %q group %q: error %v, want %s", tt.user, tt.group, err, tt.err)
			}
			continue
		}
		if err != nil || got != tt.want {
			t.Errorf("user %q group %q: %+v, %v; want %+v", tt.user, tt.group, got, err, tt.want)
		}
	}
}

func TestSourcePortsOfRoot(t *testing.T) {
	for _, tt := range []struct {
		args, want string
	}{
		{"--server=127.0.0.1@127.0.0.1#1024 --query-port=5353", ""},
		{"--query-port=53", "source port 53 of --query-port needs --user=root"},
		{"--server=127.0.0.1@127.0.0.1#53", "source port 53 of --server=127.0.0.1#53@127.0.0.1#53 needs --user=root"},
	} {
		o, err := options.Parse(strings.Fields(tt.args), options.NoFiles())
		if err != nil {
			t.Fatal(err)
		}
		a := &app{options: o}
		got := ""
		if err := a.checkSourcePorts(identity{uid: 65534, change: true}); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.args, got, tt.want)
		}
		if err := a.checkSourcePorts(identity{}); err != nil {
			t.Errorf("%s as root: %v", tt.args, err)
		}
	}
}

func TestWritePidFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "pid")
	victim := filepath.Join(dir, "victim")
	if err := os.Symlink(victim, path); err != nil {
		t.Fatal(err)
	}
	if err := writePidFile(path, -1); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != strconv.Itoa(os.Getpid())+"\n" {
		t.Errorf("the file holds %q, %v", got, err)
	}
	if _, err := os.Stat(victim); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file was written through a link: %v", err)
	}
	missing := filepath.Join(dir, "none", "pid")
	if err := writePidFile(missing, -1); err == nil || err.Error() != "failed to open pidfile "+missing+": No such file or directory" {
		t.Errorf("in a missing directory: %v", err)
	}
	if err := writePidFile("", -1); err != nil {
		t.Errorf("no file: %v", err)
	}
}

// replace writes a file as a ConfigMap volume or a careful editor does.
func replace(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func TestResolvFiles(t *testing.T) {
	log, text := testLog(t)
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	r := &resolvFiles{paths: []string{a, b}, log: log, own: ownServer(
		[]netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:53"), netip.MustParseAddrPort("10.0.0.2:5353")}, systemInterfaces)}
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
		{"one file", func() { replace(t, a, "nameserver 1.1.1.1\n") }, true, "1.1.1.1", "reading " + a + "\n"},
		{"no change", func() {}, false, "1.1.1.1", ""},
		{"an older file does not count", func() {
			replace(t, b, "nameserver 2.2.2.2\n")
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
			replace(t, a, "nameserver 3.3.3.3\n")
			if err := os.Chtimes(a, info.ModTime(), info.ModTime()); err != nil {
				t.Fatal(err)
			}
		}, true, "3.3.3.3", "reading " + a + "\n"},
		{
			"own and loopback addresses", func() { replace(t, a, "nameserver 127.0.0.53\nnameserver 10.0.0.1\nnameserver 10.0.0.2\n") }, true, "10.0.0.2",
			"ignoring nameserver 127.0.0.53 - local interface\nignoring nameserver 10.0.0.1 - local interface\nreading " + a + "\n",
		},
		{"empty keeps the servers", func() { replace(t, a, "search x\n") }, false, "10.0.0.2", "no servers found in " + a + ", will retry\n"},
		{"gone, the older one counts", func() {
			if err := os.Remove(a); err != nil {
				t.Fatal(err)
			}
		}, true, "2.2.2.2", "reading " + b + "\n"},
	} {
		t.Run(step.name, func(t *testing.T) {
			before := text()
			step.do()
			changed := r.poll(false)
			if logged := strings.TrimPrefix(text(), before); changed != step.changed || addrTexts(r.servers) != step.servers || logged != step.logged {
				t.Errorf("changed %v, servers %q, log %q; want %v, %q, %q",
					changed, addrTexts(r.servers), logged, step.changed, step.servers, step.logged)
			}
		})
	}
	if !r.poll(true) {
		t.Error("a forced reading reports no change")
	}
}

func TestHostsFiles(t *testing.T) {
	log, text := testLog(t)
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
		replace(t, path, content)
	}
	local := &options.Local{
		NoHosts: true, AddnHosts: []string{dir + "/one", dir + "/none"}, HostsDirs: []string{dir + "/d"},
		ExpandHosts: true, Domain: "\x01x\x00",
	}
	files := readHosts(local, log, nil)
	var got []string
	for _, f := range files {
		for _, h := range f.hosts {
			got = append(got, filepath.Base(f.path)+" "+h.Addr.String())
		}
	}
	if want := []string{"one 1.2.3.4", "y 1.2.3.6", "z 1.2.3.5"}; !slices.Equal(got, want) {
		t.Errorf("read %q, want %q", got, want)
	}
	want := "read D/one - 3 names\nfailed to load names from D/none: No such file or directory\n" +
		"read D/d/y - 2 names\nbad address at D/d/z line 2\nread D/d/z - 2 names\n"
	if diff := cmp.Diff(want, strings.ReplaceAll(text(), dir, "D")); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}

	before := hostsStamp(local.HostsDirs)
	if again := hostsStamp(local.HostsDirs); again != before {
		t.Error("the stamp changes by itself")
	}
	replace(t, dir+"/d/y", "1.2.3.6 y yy\n")
	if hostsStamp(local.HostsDirs) == before {
		t.Error("the stamp does not see a change")
	}
}

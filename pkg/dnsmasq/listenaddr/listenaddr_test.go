package listenaddr

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/netif"
)

func addrs(texts string) []netip.Addr {
	var list []netip.Addr
	for text := range strings.FieldsSeq(texts) {
		list = append(list, netip.MustParseAddr(text))
	}
	return list
}

func TestAddrs(t *testing.T) {
	list := netif.List{
		{Name: "lo", Addrs: addrs("127.0.0.1 ::1")},
		{Name: "eth0", Addrs: addrs("10.0.0.1 fe80::1%eth0")},
		{Name: "eth1", Addrs: addrs("10.0.1.1")},
	}
	for _, tt := range []struct{ name, args, follow, bind string }{
		{"addresses", "--listen-address=10.0.0.1,::1", "10.0.0.1 ::1", "10.0.0.1 ::1"},
		{"addresses to come", "--listen-address=10.9.9.9,127.0.0.2", "10.9.9.9 127.0.0.2", "10.9.9.9 127.0.0.2"},
		{"address with a zone", "--listen-address=fe80::1", "fe80::1%eth0", "fe80::1%eth0"},
		{"interface includes lo", "--interface=eth1", "127.0.0.1 ::1 10.0.1.1", "127.0.0.1 ::1 10.0.1.1"},
		{"prefix", "--interface=eth*", "127.0.0.1 ::1 10.0.0.1 fe80::1%eth0 10.0.1.1", "127.0.0.1 ::1 10.0.0.1 fe80::1%eth0 10.0.1.1"},
		{"except wins over interface", "--interface=eth* --except-interface=eth0 --except-interface=lo", "10.0.1.1", "10.0.1.1"},
		{"except wins over address", "--listen-address=10.0.0.1,10.0.1.1 --except-interface=eth0", "10.0.1.1", "10.0.1.1"},
		{"except wins over loopback", "--listen-address=127.0.0.2,127.0.0.1,10.0.1.1 --except-interface=lo", "10.0.1.1", "10.0.1.1"},
		{"except alone", "--except-interface=eth0", "127.0.0.1 ::1 10.0.1.1", "127.0.0.1 ::1 10.0.1.1"},
		{"address and interface", "--listen-address=10.0.0.1 --interface=lo", "10.0.0.1 127.0.0.1 ::1", "10.0.0.1 127.0.0.1 ::1"},
		{"nothing", "", "", "127.0.0.1 ::1 10.0.0.1 fe80::1%eth0 10.0.1.1"},
		{"unknown interface", "--interface=eth7", "127.0.0.1 ::1", "error: unknown interface eth7"},
		{"nothing left", "--interface=lo --except-interface=lo", "", "error: the options exclude every interface; there is nothing to listen on"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o, err := options.Parse(strings.Fields(tt.args), options.NoFiles())
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			if Follows(&o.Listen) {
				for _, addr := range Now(&o.Listen, list) {
					got = append(got, addr.Addr().String())
				}
			}
			if text := strings.Join(got, " "); text != tt.follow {
				t.Errorf("following changes: %q, want %q", text, tt.follow)
			}
			o.Listen.BindInterfaces = true
			fixed, err := Fixed(&o.Listen, list)
			got = nil
			for _, addr := range fixed {
				got = append(got, addr.String())
			}
			text := strings.Join(got, " ")
			if err != nil {
				text = "error: " + err.Error()
			}
			if text != tt.bind {
				t.Errorf("--bind-interfaces: %q, want %q", text, tt.bind)
			}
		})
	}
	fixed, err := Fixed(&options.Listen{}, list)
	if err != nil || len(fixed) == 0 || fixed[0] != netip.IPv4Unspecified() {
		t.Errorf("without options: %v, %v; want the wildcards", fixed, err)
	}
}

func TestBindsLater(t *testing.T) {
	for args, want := range map[string]bool{
		"": false, "--listen-address=127.0.0.1": false, "--interface=eth0": true, "--except-interface=eth0": true,
		"--interface=eth0 --bind-interfaces": false, "--bind-dynamic": true,
	} {
		o, err := options.Parse(strings.Fields(args), options.NoFiles())
		if err != nil {
			t.Fatal(err)
		}
		if got := BindsLater(&o.Listen); got != want {
			t.Errorf("%q: %v, want %v", args, got, want)
		}
	}
}

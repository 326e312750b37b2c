package host

import (
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/test/dnstest/logtest"
)

func open(t *testing.T, args string) *Host {
	t.Helper()
	o, err := options.Parse(strings.Fields(args), options.NoFiles())
	if err != nil {
		t.Fatal(err)
	}
	log, _ := logtest.Open(t)
	h, err := Open(o, log, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

// TestOpen: only the state that some option needs is read from the host.
func TestOpen(t *testing.T) {
	tests := []struct {
		args            string
		interfaces, mac bool
	}{
		{"--listen-address=127.0.0.1 --bind-interfaces", false, false},
		{"--bind-dynamic --interface=lo", true, false},
		{"--interface-name=router.lan,lo", true, false},
		{"--localise-queries", true, false},
		{"--domain=lan,lo", true, false},
		{"--add-mac --bind-interfaces", false, true},
		{"--add-mac=text --bind-interfaces", false, true},
	}
	for _, tt := range tests {
		h := open(t, tt.args)
		if got := len(h.Interfaces) > 0; got != tt.interfaces || h.Watched() != got || (h.Changed() != nil) != got {
			t.Errorf("%s: interfaces %v, watched %v; want %v", tt.args, h.Interfaces, h.Watched(), tt.interfaces)
		}
		if got := h.MAC != nil; got != tt.mac {
			t.Errorf("%s: hardware addresses %v, want %v", tt.args, got, tt.mac)
		}
		if h.Host == "" || !dnsname.Valid([]byte(h.Host)) {
			t.Errorf("the host's name is %q", h.Host)
		}
	}
}

// TestRefresh: the interfaces count as changed only if an interface or address differs.
func TestRefresh(t *testing.T) {
	h := open(t, "--bind-dynamic --interface=lo")
	before := h.Interfaces
	if before.NameOf(netip.AddrFrom4([4]byte{127, 0, 0, 1})) != "lo" {
		t.Fatalf("no lo with 127.0.0.1 in %v", before)
	}
	if h.Refresh() {
		t.Error("changed, although nothing happened")
	}
	h.Interfaces = before[:len(before)-1]
	if !h.Refresh() || len(h.Interfaces) != len(before) {
		t.Errorf("a new interface is not a change: %v", h.Interfaces)
	}
}

package sockets

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/netif"
	"github.com/kube-dns/kube-dns/test/dnstest/logtest"
	"github.com/kube-dns/kube-dns/test/testkit"
)

// silent is a handler that answers nothing.
type silent struct{}

func (silent) Handle([]byte, listener.ReplyTo, []byte) []byte { return nil }
func (silent) Split() listener.Worker                         { return silent{} }
func (silent) Preview([][]byte)                               {}
func (silent) Flush()                                         {}

// interfaces returns the interfaces of a host that has these addresses on one interface.
func interfaces(name string, addrs ...string) netif.List {
	i := netif.Interface{Name: name}
	for _, text := range addrs {
		addr := netip.MustParseAddr(text)
		i.Addrs = append(i.Addrs, addr)
		i.Networks = append(i.Networks, netip.PrefixFrom(addr, 8))
	}
	return netif.List{i}
}

// open opens the sockets that the options ask for, and returns them with their log.
func open(t *testing.T, args string, list netif.List) (*Sockets, func() string, error) {
	t.Helper()
	o, err := options.Parse(strings.Fields(args), options.NoFiles())
	if err != nil {
		t.Fatal(err)
	}
	log, text := logtest.Open(t)
	s, err := Open(Config{Options: &o.Listen, Interfaces: list, Handler: silent{}, Log: log, Logger: slog.New(slog.DiscardHandler)})
	if err == nil {
		t.Cleanup(s.Close)
	}
	return s, text, err
}

func texts(addrs []netip.AddrPort) []string {
	list := make([]string, 0, len(addrs))
	for _, a := range addrs {
		list = append(list, a.Addr().String())
	}
	slices.Sort(list)
	return list
}

// TestRebind: with --bind-dynamic, the sockets follow the addresses of the interface, and the
// changes are logged.
func TestRebind(t *testing.T) {
	port := testkit.FreePorts(t, 12000, 500, 1)[0]
	s, log, err := open(t, fmt.Sprintf("--bind-dynamic --interface=test0 --except-interface=lo --port=%d", port), interfaces("test0", "127.12.0.1", "127.12.0.2"))
	if err != nil {
		t.Fatal(err)
	}
	if got := texts(s.Addrs()); !slices.Equal(got, []string{"127.12.0.1", "127.12.0.2"}) || s.Waiting() || !s.BindsLater() {
		t.Fatalf("at first: %v, waiting %v", got, s.Waiting())
	}
	s.Rebind(interfaces("test0", "127.12.0.2", "127.12.0.3"))
	if got := texts(s.Addrs()); !slices.Equal(got, []string{"127.12.0.2", "127.12.0.3"}) {
		t.Errorf("after a change: %v", got)
	}
	for _, want := range []string{
		fmt.Sprintf("listening on test0: 127.12.0.3 port %d", port), fmt.Sprintf("stopped listening on 127.12.0.1 port %d", port),
		"warning: interface test0 does not currently exist",
	} {
		if !strings.Contains(log(), want) {
			t.Errorf("the log lacks %q:\n%s", want, log())
		}
	}
}

// TestRebindWaits: an address that another process uses is tried until it is free. Only after
// some attempts is that logged, once.
func TestRebindWaits(t *testing.T) {
	port := testkit.FreePorts(t, 12000, 500, 1)[0]
	s, log, err := open(t, fmt.Sprintf("--bind-dynamic --interface=test0 --except-interface=lo --port=%d", port), interfaces("test0", "127.12.1.1"))
	if err != nil {
		t.Fatal(err)
	}
	other, err := net.ListenPacket("udp", fmt.Sprintf("127.12.1.2:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	list := interfaces("test0", "127.12.1.1", "127.12.1.2")
	for try := 1; try <= quietTries+2; try++ {
		s.Rebind(list)
		if n := strings.Count(log(), "cannot listen on every address"); !s.Waiting() || (n != 0) != (try >= quietTries) || n > 1 {
			t.Errorf("try %d: waiting %v, log:\n%s", try, s.Waiting(), log())
		}
	}
	other.Close()
	s.Rebind(list)
	if got := texts(s.Addrs()); !slices.Equal(got, []string{"127.12.1.1", "127.12.1.2"}) || s.Waiting() {
		t.Errorf("when the address is free: %v, waiting %v", got, s.Waiting())
	}
}

// TestOpenFails: if another process uses an address at the start, the error is a fault in
// dnsmasq's wording.
func TestOpenFails(t *testing.T) {
	other, err := net.ListenPacket("udp", fmt.Sprintf("127.12.2.1:%d", testkit.FreePorts(t, 12000, 500, 1)[0]))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	port := other.LocalAddr().(*net.UDPAddr).Port
	_, _, err = open(t, fmt.Sprintf("--bind-interfaces --listen-address=127.12.2.1 --port=%d", port), nil)
	var fault *options.Fault
	if !errors.As(err, &fault) || fault.Exit != options.ExitNetwork || fault.Text != "failed to create listening socket for 127.12.2.1: Address already in use" {
		t.Errorf("got %#v", err)
	}
}

func TestOnlyUnavailable(t *testing.T) {
	gone, used := &net.OpError{Err: syscall.EADDRNOTAVAIL}, &net.OpError{Err: syscall.EADDRINUSE}
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{gone, true},
		{syscall.ENODEV, true},
		{used, false},
		{errors.Join(gone, fmt.Errorf("wrapped: %w", syscall.ENODEV)), true},
		{errors.Join(gone, used), false},
	} {
		if got := onlyUnavailable(tt.err); got != tt.want {
			t.Errorf("%v: %v, want %v", tt.err, got, tt.want)
		}
	}
}

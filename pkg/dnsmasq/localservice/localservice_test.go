package localservice

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/netif"
	"github.com/kube-dns/kube-dns/test/dnstest/logtest"
)

// echo answers with the query.
type echo struct{}

func (echo) Flush() {}

func (echo) Preview([][]byte) {}

func (echo) Split() listener.Worker { return echo{} }

func (echo) Handle(packet []byte, _ listener.ReplyTo, reply []byte) []byte {
	return append(reply, packet...)
}

// nowhere takes no answers.
type nowhere struct{}

func (nowhere) Send(listener.ReplyTo, []byte) {}

func from(addr string) listener.ReplyTo {
	return listener.NewReplyTo(nowhere{}, netip.AddrPortFrom(netip.MustParseAddr(addr), 5353), netip.MustParseAddr("127.0.0.1"), false)
}

func TestLocalService(t *testing.T) {
	logger, text := logtest.Logger(t)
	interfaces := func() (netif.List, error) {
		return netif.List{{Networks: []netip.Prefix{netip.MustParsePrefix("10.1.2.3/16"), netip.MustParsePrefix("fd00::1/64")}}}, nil
	}
	for _, tt := range []struct {
		client    string
		net, host bool
	}{
		{"127.0.0.9", true, true},
		{"::1", true, true},
		{"10.1.2.3", true, true},
		{"10.1.9.9", true, false},
		{"::ffff:10.1.9.9", true, false},
		{"10.2.0.1", false, false},
		{"fd00::99", true, false},
		{"fd01::1", false, false},
	} {
		for _, hostOnly := range []bool{false, true} {
			s := New(echo{}, hostOnly, logger)
			s.Refresh(interfaces)
			want := tt.net
			if hostOnly {
				want = tt.host
			}
			answered := len(s.Split().Handle([]byte("query"), from(tt.client), nil)) > 0
			if answered != want || (s.Dropped() == 0) != want {
				t.Errorf("%s with host only %v: answered %v, dropped %d; want %v", tt.client, hostOnly, answered, s.Dropped(), want)
			}
		}
	}
	if !strings.Contains(text(), "warning: ignoring query from non-local network client=10.2.0.1\n") {
		t.Errorf("no warning in the log:\n%s", text())
	}
}

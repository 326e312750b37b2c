package upstream

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// unusedPort is an address at which nothing listens.
func unusedPort(t *testing.T) netip.AddrPort {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	return netip.MustParseAddrPort(pc.LocalAddr().String())
}

// Stats say in words why the last question that failed did.
func TestLastError(t *testing.T) {
	t.Parallel()
	closed := unusedPort(t)
	for _, tt := range []struct {
		name   string
		server Server
		want   string
	}{
		{"an answer", scripted(t, rcode(0)), ""},
		{"a name that does not exist", scripted(t, rcode(dns.RcodeNameError)), ""},
		{"SERVFAIL", scripted(t, rcode(dns.RcodeServerFailure)), "the reply was SERVFAIL"},
		{"REFUSED", scripted(t, rcode(dns.RcodeRefused)), "the reply was REFUSED"},
		{"an unknown rcode", scripted(t, rcode(14)), "the reply was RCODE14"},
		{"silence", scriptedSilent(t), "no reply in time"},
		{"nothing listens", Server{Addr: closed}, "nothing listens there"},
		{"an address of another host", Server{Addr: closed, Source: netip.MustParseAddrPort("192.0.2.1:0")}, "could not send: "},
		{"unreadable", scripted(t, func(q *dns.Msg) [][]byte {
			msg := packed(new(dns.Msg).SetReply(q))
			msg[7] = 200 // records that are not there
			return [][]byte{msg}
		}), "the reply could not be read"},
		{"truncated without TCP", scripted(t, func(q *dns.Msg) [][]byte {
			m := new(dns.Msg).SetReply(q)
			m.Truncated = true
			return [][]byte{packed(m)}
		}), "no TCP connection"},
		{"TLS where nothing listens", Server{Addr: closed, TLS: TLS{On: true}}, "no TLS connection: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := running(t, Config{Routes: all(tt.server), Timeout: 700 * time.Millisecond, FirstRetry: 200 * time.Millisecond})
			before := time.Now()
			s.askA("www.example.", 0).wait(t)
			st := s.Stats().Servers[0]
			if tt.want == "" && (st.LastError != "" || !st.LastErrorAt.IsZero()) ||
				!strings.HasPrefix(st.LastError, tt.want) {
				t.Errorf("last error %q at %v, want %q", st.LastError, st.LastErrorAt, tt.want)
			}
			if tt.want != "" && (st.LastErrorAt.Before(before.Add(-time.Millisecond)) || st.LastErrorAt.After(time.Now().Add(time.Millisecond))) {
				t.Errorf("at %v, asked at %v", st.LastErrorAt, before)
			}
		})
	}
}

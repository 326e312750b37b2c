package upstream

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/dnstest"
)

// clearTCP is how a server given as tcp: is asked.
var clearTCP = TLS{On: true, Clear: true}

// TestTCPFirst: a server given as tcp: gets no packet over UDP. Its questions share few
// connections and are answered in any order. If it closes connections, another server is
// asked at once, and that is logged.
func TestTCPFirst(t *testing.T) {
	var overUDP, n atomic.Int64
	server := dnstest.NewServer(t, func(q *dns.Msg, tcp bool) [][]byte {
		if !tcp {
			overUDP.Add(1)
			return nil
		}
		if n.Add(1)%5 == 0 {
			time.Sleep(time.Millisecond)
		}
		for _, o := range q.IsEdns0().Option {
			if o.Option() == dns.EDNS0PADDING {
				overUDP.Add(1000) // padding in clear text hides nothing
			}
		}
		return [][]byte{packed(new(dns.Msg).SetReply(q))}
	})
	dead := dnstest.NewServer(t, dnstest.Silence)
	dead.Refuse(t)
	spec := Server{Addr: server.Addr, TLS: clearTCP}
	s := patientTLS(t, Config{Routes: all(Server{Addr: dead.Addr, TLS: clearTCP}, spec), Strategy: InOrder, Timeout: 4 * time.Second})
	var list []*waiting
	for i := range 200 {
		list = append(list, s.askA(fmt.Sprintf("n%d.example.", i), 0))
	}
	for _, w := range list {
		if got := w.wait(t); got != "NOERROR from "+server.Addr.String() {
			t.Fatal(got)
		}
	}
	if overUDP.Load() != 0 {
		t.Errorf("%d packets over UDP", overUDP.Load())
	}
	st := s.Stats()
	if st.TCPRefused != 0 {
		t.Errorf("%d refused by the bound for truncated answers", st.TCPRefused)
	}
	for _, one := range st.Servers {
		if one.TLS != nil || !strings.HasPrefix(one.Label, "tcp:127.0.0.1#") {
			t.Errorf("%s has TLS statistics %v", one.Label, one.TLS)
		}
		if one.Down != (one.Addr == dead.Addr) {
			t.Errorf("%s: down is %v", one.Label, one.Down)
		}
	}
	if got := s.askA("x.example.", 0).wait(t); !strings.HasPrefix(got, "NOERROR") {
		t.Error(got)
	}
}

// TestTCPFirstBeside: one domain may have servers of both kinds, which are different servers
// even at one address; a name with its TLS is not taken for TCP.
func TestTCPFirstBeside(t *testing.T) {
	server := dnstest.NewServer(t, func(q *dns.Msg, _ bool) [][]byte { return [][]byte{packed(new(dns.Msg).SetReply(q))} })
	s := patientTLS(t, Config{Routes: all(Server{Addr: server.Addr}, Server{Addr: server.Addr, TLS: clearTCP})})
	if got := len(s.Stats().Servers); got != 2 {
		t.Errorf("%d servers", got)
	}
	for _, wrong := range []TLS{{Clear: true}, {On: true, Clear: true, Name: "n"}, {On: true, Clear: true, Pins: strings.Repeat("x", 32)}} {
		if err := s.Reload(Config{Routes: all(Server{Addr: server.Addr, TLS: wrong}), NewSink: func() Sink { return noSink{} }}); err == nil {
			t.Errorf("%+v is accepted", wrong)
		}
	}
}

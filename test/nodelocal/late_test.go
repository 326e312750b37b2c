package nodelocal

import (
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/addon"
)

// TestLateAnswers stops the cache with queries in its socket, continues it when queries go to
// cluster DNS already, and ends it. The answers that it sent late must not have left entries
// in the connection table: a client that uses one of the ports again would get no answer of
// cluster DNS for half a minute.
func TestLateAnswers(t *testing.T) {
	if !inside(t) {
		return
	}
	clusterDNS(t)
	p := node(t, vip)
	eventually(t, 5*time.Second, func() bool { return ask(vip) == byCache })
	pid := p.cache(t)
	if err := addon.Freeze(pid); err != nil {
		t.Fatal(err)
	}
	var clients []*net.UDPConn
	for range 50 {
		conn, err := net.Dial("udp", net.JoinHostPort(vip, "53"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		clients = append(clients, conn.(*net.UDPConn))
		send(t, conn)
	}
	eventually(t, 2500*time.Millisecond, func() bool { return ask(vip) == byOther })
	_ = syscall.Kill(pid, syscall.SIGCONT)
	late := 0
	for _, conn := range clients {
		if receive(conn) != "" {
			late++
		}
	}
	if late == 0 {
		t.Fatal("no query waited in the socket of the cache")
	}
	_ = p.Process.Kill()
	eventually(t, 5*time.Second, func() bool { return ask(vip) == byOther })
	lost := 0
	for _, conn := range clients {
		if _, err := conn.Write(packed(t)); err != nil || receive(conn) != byOther {
			lost++
		}
	}
	if lost > 0 {
		t.Errorf("%d late answers, and then %d of %d ports without an answer of cluster DNS", late, lost, len(clients))
	}
}

func packed(t *testing.T) []byte {
	t.Helper()
	b, err := new(dns.Msg).SetQuestion("x.test.", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func send(t *testing.T, conn net.Conn) {
	t.Helper()
	if _, err := conn.Write(packed(t)); err != nil {
		t.Fatal(err)
	}
}

// receive returns the address in the next answer, "" if there is none.
func receive(conn net.Conn) string {
	_ = conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	b := make([]byte, 512)
	n, err := conn.Read(b)
	m := new(dns.Msg)
	if err != nil || m.Unpack(b[:n]) != nil || len(m.Answer) == 0 {
		return ""
	}
	if a, ok := m.Answer[0].(*dns.A); ok {
		return a.A.String()
	}
	return ""
}

package main

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestRateLimit: a client that exceeds its rate gets at most as many octets as it sent, and can
// continue over TCP. Other clients, and those on the loopback interface, are not affected.
func TestRateLimit(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	for _, addr := range []string{"10.9.0.1/24", "10.9.0.2/24", "10.9.0.3/24"} {
		ip(t, "addr add "+addr+" dev lo")
	}
	args := []string{"--listen-address=10.9.0.1,127.0.0.1", "--host-record=x.ex,192.0.2.1", "--rate-limit=5,10"}
	for range 30 {
		args = append(args, "--txt-record=x.ex,"+strings.Repeat("x", 30))
	}
	startInside(t, args...)
	ask := func(network, from, to string) *dns.Msg {
		q := new(dns.Msg).SetQuestion("x.ex.", dns.TypeTXT)
		q.SetEdns0(1232, false)
		dialer := &net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.UDPAddr{IP: net.ParseIP(from)}}
		if network == "tcp" {
			dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
		}
		m, _, err := (&dns.Client{Net: network, Timeout: 5 * time.Second, Dialer: dialer}).Exchange(q, net.JoinHostPort(to, "5353"))
		if err != nil {
			t.Fatalf("%s from %s: %v", network, from, err)
		}
		return m
	}
	started, whole, cut := time.Now(), 0, 0
	for range 100 {
		m := ask("udp", "10.9.0.2", "10.9.0.1")
		switch {
		case len(m.Answer) > 1:
			whole++
		case m.Truncated && m.Len() <= 40:
			cut++
		default:
			t.Fatalf("an answer of %d octets: %v", m.Len(), m)
		}
	}
	if most := 11 + int(5*time.Since(started).Seconds()); whole > most || whole < 10 || cut != 100-whole {
		t.Errorf("%d whole answers and %d with TC, want 10 to %d whole", whole, cut, most)
	}
	if m := ask("tcp", "10.9.0.2", "10.9.0.1"); len(m.Answer) != 30 {
		t.Errorf("over TCP: %v", m)
	}
	if m := ask("udp", "10.9.0.3", "10.9.0.1"); len(m.Answer) < 2 {
		t.Errorf("another client: %v", m)
	}
	for range 100 {
		if m := ask("udp", "127.0.0.1", "127.0.0.1"); len(m.Answer) < 2 {
			t.Fatalf("over loopback: %v", m)
		}
	}
}

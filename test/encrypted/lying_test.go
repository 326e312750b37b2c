package encrypted

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/dnstest"
)

// lie is a way in which a server wastes the client's time, memory or CPU, or sends answers to
// questions that were not asked.
type lie struct {
	name    string
	answers bool // whether questions are answered nevertheless
	tls12   bool
	chain   int // certificates besides the server's own
	script  dnstest.TLSScript
}

// flooding returns a server that reads a question, and then writes endlessly.
func flooding(write func(r *dnstest.Records) error) dnstest.TLSScript {
	return dnstest.TLSScript{Records: func(p *dnstest.TLSPeer, r *dnstest.Records) {
		question(p)
		for end := time.Now().Add(patienceOfServers); time.Now().Before(end); {
			if write(r) != nil {
				return
			}
		}
	}}
}

// beforehand returns a server that writes raw octets instead of a handshake.
func beforehand(pause time.Duration, octets func() []byte) dnstest.TLSScript {
	return dnstest.TLSScript{Raw: func(_ int, nc net.Conn) bool {
		go func() { _, _ = io.Copy(io.Discard, nc) }()
		for end := time.Now().Add(patienceOfServers); time.Now().Before(end); time.Sleep(pause) {
			if _, err := nc.Write(octets()); err != nil {
				break
			}
		}
		return true
	}}
}

// bytewise is a connection that sends the handshake one octet at a time.
type bytewise struct {
	net.Conn
	pause time.Duration
}

func (b bytewise) Write(p []byte) (int, error) {
	for i := range p {
		if _, err := b.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
		time.Sleep(b.pause)
	}
	return len(p), nil
}

// honest answers the questions of a connection whose handshake is sent slowly.
func (l *lie) honest(config func() *tls.Config, pause time.Duration) dnstest.TLSScript {
	return dnstest.TLSScript{Raw: func(_ int, nc net.Conn) bool {
		conn := tls.Server(bytewise{nc, pause}, config())
		for msg := dnstest.ReadMessage(conn); msg != nil; msg = dnstest.ReadMessage(conn) {
			q := new(dns.Msg)
			if q.Unpack(msg) != nil {
				break
			}
			out := dnstest.Pack(theAnswer(q))
			if _, err := conn.Write(append([]byte{byte(len(out) >> 8), byte(len(out))}, out...)); err != nil {
				break
			}
		}
		return true
	}}
}

func lies(config func() *tls.Config) []*lie {
	repeated := func(n int, b ...byte) func() []byte {
		return func() []byte { return []byte(strings.Repeat(string(b), n)) }
	}
	one := func(b ...byte) func() []byte { return repeated(1, b...) }
	list := []*lie{
		{name: "session tickets", script: flooding(func(r *dnstest.Records) error { return r.Ticket(15_000) })},
		{name: "new keys", script: flooding(func(r *dnstest.Records) error { return r.KeyUpdate(true) })},
		{name: "empty records", script: flooding(func(r *dnstest.Records) error { return r.Write(dnstest.RecordData, nil) })},
		{name: "warnings", script: flooding(func(r *dnstest.Records) error { return r.Alert(1, 90) })},
		{name: "warnings, TLS 1.2", tls12: true, script: flooding(func(r *dnstest.Records) error { return r.Alert(1, 90) })},
		{name: "renegotiation", tls12: true, script: flooding((*dnstest.Records).HelloRequest)},
		{name: "a long handshake message", script: flooding(func(r *dnstest.Records) error {
			return r.Write(dnstest.RecordHandshake, append([]byte{4, 0xff, 0xff, 0xff}, make([]byte, 16_000)...))
		})},
		{name: "empty messages", script: flooding(func(r *dnstest.Records) error { return r.Write(dnstest.RecordData, make([]byte, 16_000)) })},
		{name: "long messages that answer nothing", script: flooding(func(r *dnstest.Records) error { return r.Message(make([]byte, 16_000)) })},
		{name: "a message in records of an octet", script: flooding(func(r *dnstest.Records) error { return r.Write(dnstest.RecordData, []byte{0xff}) })},
		{name: "warnings in the handshake", script: beforehand(0, repeated(1000, 21, 3, 3, 0, 2, 1, 90))},
		{name: "changes of the cipher", script: beforehand(0, repeated(1000, 20, 3, 3, 0, 1, 1))},
		{name: "empty handshake records", script: beforehand(0, repeated(1000, 22, 3, 3, 0, 0))},
		{name: "a long ServerHello", script: beforehand(0, func() []byte {
			return append([]byte{22, 3, 3, 0x3f, 0xff, 2, 0xff, 0xff, 0xff}, make([]byte, 0x3fff-4)...)
		})},
		{name: "a ServerHello that trickles", script: beforehand(20*time.Millisecond, one(22))},
		{name: "questions", script: dnstest.TLSScript{Answer: func(q *dns.Msg, _ bool) [][]byte { return [][]byte{dnstest.Pack(q)} }}},
		{name: "answers to others", answers: true, script: dnstest.TLSScript{Serve: func(p *dnstest.TLSPeer) {
			defer p.Close()
			for q := question(p); q != nil; q = question(p) {
				for i := range 20 {
					other := new(dns.Msg).SetQuestion(fmt.Sprintf("poison-%d.example.", i), dns.TypeA)
					other.Id = q.Id
					p.Write1(dnstest.Pack(dnstest.Reply(other, dns.RcodeSuccess, other.Question[0].Name+" 60 IN A 192.0.2.66")))
				}
				p.Write1(dnstest.Pack(theAnswer(q)))
			}
		}}},
		{name: "a chain of 500 certificates", answers: true, chain: 500},
		{name: "a chain of 2000 certificates", chain: 2000},
	}
	inTime, late := &lie{name: "a handshake in pieces", answers: true}, &lie{name: "a handshake that trickles"}
	inTime.script, late.script = inTime.honest(config, 0), late.honest(config, 10*time.Millisecond)
	return append(list, inTime, late)
}

// cpu returns the processor time that a program has used.
func (p *program) cpu(t *testing.T) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	ticks := 0
	for _, field := range fields[11:13] { // utime and stime, proc(5)
		n, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100
}

// TestLyingServers: whatever an authenticated server, or somebody in its place, writes costs
// a program little processor time and memory and few connections. Every question gets an
// outcome, and answers to other questions are not cached.
func TestLyingServers(t *testing.T) {
	t.Parallel()
	ca := dnstest.NewCA(t, "CA")
	leaf := ca.Leaf(t, named)
	filler := dnstest.NewCA(t, "filler").Cert.Raw
	for name, start := range starters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := setup{ca: ca.PEM(), stubs: map[string]*dnstest.TLSServer{}, servers: []*dnstest.TLSServer{newHostile(t, ca).TLSServer}}
			all := lies(func() *tls.Config { return dnstest.ServerConfig(leaf) })
			for i, l := range all {
				cert := leaf
				for range l.chain {
					cert.Certificate = append(slices.Clip(cert.Certificate), filler)
				}
				config := dnstest.ServerConfig(cert)
				if l.tls12 {
					config.MaxVersion = tls.VersionTLS12
				}
				if l.answers && l.script.Serve == nil && l.script.Raw == nil {
					l.script.Answer = func(q *dns.Msg, _ bool) [][]byte { return [][]byte{dnstest.Pack(theAnswer(q))} }
				}
				set.stubs[fmt.Sprintf("lie%d.example", i)] = dnstest.NewTLSServer(t, config, l.script)
			}
			if name == "dnscache" {
				set.args = []string{"--dns-forward-max=1500"}
			}
			p := start(t, set)
			p.flood(t, "first", "example.", 10)
			before, spent := p.usage(t), p.cpu(t)
			var wg sync.WaitGroup
			const rounds, each = 2, 20
			for i, l := range all {
				wg.Go(func() {
					domain := fmt.Sprintf("lie%d.example", i)
					began := time.Now()
					for round := range rounds {
						p.flood(t, fmt.Sprintf("r%d", round), domain+".", each)
					}
					answered, err := p.outcome("one." + domain + ".")
					n := set.stubs[domain].Accepted.Load()
					t.Logf("%s: answered %v, %d connections, %v", l.name, answered, n, time.Since(began).Round(time.Millisecond))
					if err != nil || answered != l.answers || n > 8 {
						t.Errorf("%s: answered %v, %v, %d connections", l.name, answered, err, n)
					}
				})
			}
			wg.Go(func() { p.flood(t, "meanwhile", "example.", 50) })
			wg.Wait()
			for i := range 20 {
				if answered, err := p.outcome(fmt.Sprintf("poison-%d.example.", i)); !answered || err != nil {
					t.Errorf("an answer to others was kept: %v", err)
				}
			}
			after, took := p.settles(t, before), p.cpu(t)-spent
			t.Logf("%v of the processor; before: %v, afterwards: %v", took, before, after)
			// A server that a program never leaves alone takes a whole core for the 12 seconds
			// that the longest lie lasts. On a busy machine, the usual 4 s may be 8.
			const limit, slack = 10 * time.Second, 32 << 10 // KiB
			if took > limit || after.rss > before.rss+slack {
				t.Errorf("%v of the processor; before: %v, afterwards: %v", took, before, after)
			}
		})
	}
}

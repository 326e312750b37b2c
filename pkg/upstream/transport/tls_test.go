package transport

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/upstream/route"
	"github.com/kube-dns/kube-dns/pkg/wire"
	"github.com/kube-dns/kube-dns/test/dnstest"
)

const tlsName = "dns.example.net"

// outcomes sends the outcome of each call to a channel.
type outcomes chan string

func (o outcomes) Replied(_ *Call, msg []byte, _ bool, _ int64) {
	o <- dns.RcodeToString[int(wire.Flags(msg)&0xf)]
}
func (o outcomes) Miscased(*Call, int64) { o <- "miscased" }
func (o outcomes) Failed(_ *Call, why Failure, _ int64) {
	o <- map[Failure]string{NotConnected: "not connected", Lost: "lost"}[why]
}
func (o outcomes) Flush() {}

// tlsLink runs a transport whose clock is moved by shift, and returns its link to a
// server.
func tlsLink(t *testing.T, server *dnstest.TLSServer, ca *dnstest.CA, shift *atomic.Int64) (link Link, now func() int64, got outcomes, news func() []Handshake) {
	t.Helper()
	began := time.Now().Add(-time.Hour)
	now = func() int64 { return int64(time.Since(began)) + shift.Load() }
	got = make(outcomes, 100)
	env := envOf(got)
	env.Now = now
	var mu sync.Mutex
	var list []Handshake
	trust := &Trust{Roots: ca.Pool()}
	tcp := NewTLS(env, func() *Trust { return trust }, 16, 4*time.Second)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { tcp.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	link = tcp.Link(route.Server{Addr: server.Addr, TLS: route.TLS{On: true, Name: tlsName}}, func(h Handshake, _ int64) {
		mu.Lock()
		defer mu.Unlock()
		list = append(list, h)
	})
	return link, now, got, func() []Handshake {
		mu.Lock()
		defer mu.Unlock()
		return append([]Handshake(nil), list...)
	}
}

// TestMaximumAge is B23: a connection takes no more questions when it is too old, and
// the next one finds out that the server's certificate is another authority's.
func TestMaximumAge(t *testing.T) {
	ca, other := dnstest.NewCA(t, "CA"), dnstest.NewCA(t, "other CA")
	leaf := dnstest.Leaf{Names: []string{tlsName}}
	server := dnstest.NewTLSServer(t, dnstest.ServerConfig(ca.Leaf(t, leaf)), dnstest.TLSScript{})
	var shift atomic.Int64
	link, now, got, news := tlsLink(t, server, ca, &shift)
	ask := func(want string) {
		t.Helper()
		if err := link.Send(&Call{Question: fuzzQuestion(), EDNS: true}, now()); err != nil {
			t.Fatal(err)
		}
		select {
		case outcome := <-got:
			if outcome != want {
				t.Fatalf("%s, want %s", outcome, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("nothing came of a question")
		}
	}
	ask("NOERROR")
	server.Config.Store(dnstest.ServerConfig(other.Leaf(t, leaf)))
	for shift.Load() < int64(tlsAge)*85/100 {
		shift.Add(int64(5 * time.Second)) // shorter than a connection may be idle
		ask("NOERROR")
	}
	if n := server.Accepted.Load(); n != 1 {
		t.Fatalf("%d connections before the maximum age", n)
	}
	for shift.Load() < int64(tlsAge)*115/100 && server.Accepted.Load() == 1 {
		shift.Add(int64(5 * time.Second))
		link.Retire(now())
		if err := link.Send(&Call{Question: fuzzQuestion(), EDNS: true}, now()); err != nil {
			t.Fatal(err)
		}
		if outcome := <-got; outcome != "NOERROR" {
			break
		}
	}
	if n := server.Accepted.Load(); n != 2 {
		t.Fatalf("%d connections after the maximum age", n)
	}
	for _, h := range news() {
		if h.Kind == Refused && h.Fault.Reason == FaultUnknownCA && strings.Contains(h.Fault.Error(), "unknown authority other CA") {
			return
		}
	}
	t.Errorf("no refusal among %+v", news())
}

// frames counts the messages in octets.
func frames(octets []byte) (n int) {
	for len(octets) >= 2 {
		length := 2 + int(binary.BigEndian.Uint16(octets))
		octets = octets[min(length, len(octets)):]
		n++
	}
	return n
}

// FuzzRecords is B47: octets that come over TLS, in whatever records, answer the same
// questions as over TCP.
func FuzzRecords(f *testing.F) {
	for _, name := range []string{"www.example.", "wwx.example."} {
		var both []byte
		for id := range uint16(2) {
			for _, p := range packets(id, name) {
				both = append(both, frame(p)...)
			}
		}
		f.Add(both, []byte{1})
		f.Add(both, []byte{2, 30, 0, 7})
		f.Add(both, []byte{255})
	}
	f.Add([]byte{0, 0, 0, 0, 0xff, 0xff, 1}, []byte{3})
	ca := dnstest.NewCA(f, "CA")
	server := dnstest.ServerConfig(ca.Leaf(f, dnstest.Leaf{Names: []string{tlsName}}))
	client := &tls.Config{RootCAs: ca.Pool(), ServerName: tlsName, MinVersion: tls.VersionTLS12}
	f.Fuzz(func(t *testing.T, octets, sizes []byte) {
		if len(octets) > 8<<10 || frames(octets) > maxStrayReplies {
			return
		}
		want := feed(t, octets)
		a, b := net.Pipe()
		go func() {
			nc := tls.Server(a, server)
			defer nc.Close()
			if nc.Handshake() != nil {
				return
			}
			for i := 0; len(octets) > 0; i++ {
				n := min(len(octets), 1+int(slices.Concat(sizes, []byte{0})[i%(len(sizes)+1)]))
				if _, err := nc.Write(octets[:n]); err != nil {
					return
				}
				octets = octets[n:]
			}
		}()
		nc := tls.Client(b, client)
		defer nc.Close()
		if err := nc.Handshake(); err != nil {
			t.Fatal(err)
		}
		got := newTold()
		p := &streamPool{tcp: NewTCP(envOf(got), 1, time.Hour), random: newRandom()}
		s := &stream{pool: p, table: calls{}, wake: make(chan struct{}, 1), idle: int64(time.Hour)}
		for id := range uint16(2) {
			if c := (&Call{Question: fuzzQuestion(), Index: int(id), EDNS: true}); !s.addCall(c, uint64(id)|0x99<<16, int64(time.Hour)) {
				t.Fatal("no id")
			}
		}
		_ = s.read(nc)
		for i := range 2 {
			if string(got.replies[i]) != string(want[i]) {
				t.Errorf("question %d: %x over TLS, %x over TCP", i, got.replies[i], want[i])
			}
		}
	})
}

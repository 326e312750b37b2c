package transport

import (
	"crypto/tls"
	"encoding/binary"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/dnstest"
)

// replyTo is the reply to a question as it came.
func replyTo(msg []byte) []byte {
	q := new(dns.Msg)
	if q.Unpack(msg) != nil {
		return nil
	}
	return packed(new(dns.Msg).SetReply(q))
}

// lie is a misuse of TLS records by a server. The server's certificate is valid, so that
// everything comes from a trusted peer.
type lie struct {
	name  string
	tls12 bool
	// serve is called after the handshake, and when it returns, the connection ends. It
	// returns how many records it has written to no end.
	serve func(nc *tls.Conn, r *dnstest.Records) int
	want  string        // the outcome of a question
	took  time.Duration // at most, until there is an outcome
}

// endless calls write until it fails, and returns how often that was. The limit is
// far beyond what a client may take.
func endless(write func() error) int {
	for n := range 5000 {
		if write() != nil {
			return n
		}
	}
	return 5000
}

func lies() []lie {
	answer := func(nc *tls.Conn, r *dnstest.Records) {
		if msg := dnstest.ReadMessage(nc); msg != nil {
			_ = r.Message(replyTo(msg))
		}
	}
	// after makes a server that reads a question, and writes without an end.
	after := func(write func(r *dnstest.Records) error) func(*tls.Conn, *dnstest.Records) int {
		return func(nc *tls.Conn, r *dnstest.Records) int {
			dnstest.ReadMessage(nc)
			go waitForEnd(under(nc)) // what the client says at the end must find a reader
			return endless(func() error { return write(r) })
		}
	}
	// before makes a server that writes n times, then answers.
	before := func(n int, write func(r *dnstest.Records) error) func(*tls.Conn, *dnstest.Records) int {
		return func(nc *tls.Conn, r *dnstest.Records) int {
			for range n {
				if write(r) != nil {
					return 0
				}
			}
			answer(nc, r)
			waitForEnd(under(nc))
			return 0
		}
	}
	ticket := func(r *dnstest.Records) error { return r.Ticket(100) }
	large := func(r *dnstest.Records) error { return r.Ticket(15_000) }
	empty := func(r *dnstest.Records) error { return r.Write(dnstest.RecordData, nil) }
	canceled := func(r *dnstest.Records) error { return r.Alert(1, 90) }
	return []lie{
		{name: "endless tickets", serve: after(ticket), want: "lost"},
		{name: "endless large tickets", serve: after(large), want: "lost"},
		{name: "ten tickets", serve: before(10, ticket), want: "NOERROR"},
		{name: "endless changes of its key", serve: after(func(r *dnstest.Records) error { return r.KeyUpdate(false) }), want: "lost"},
		{name: "ten changes of its key", serve: before(10, func(r *dnstest.Records) error { return r.KeyUpdate(false) }), want: "NOERROR"},
		{name: "endless empty records", serve: after(empty), want: "lost"},
		{name: "ten empty records", serve: before(10, empty), want: "NOERROR"},
		{name: "endless warnings", serve: after(canceled), want: "lost"},
		{name: "endless warnings, TLS 1.2", tls12: true, serve: after(canceled), want: "lost"},
		{name: "ten warnings, TLS 1.2", tls12: true, serve: before(10, canceled), want: "NOERROR"},
		{name: "a fatal alert", serve: after(func(r *dnstest.Records) error { return r.Alert(2, 80) }), want: "not connected"},
		{name: "renegotiation, TLS 1.2", tls12: true, serve: after((*dnstest.Records).HelloRequest), want: "lost"},
		{name: "renegotiation, TLS 1.3", serve: after((*dnstest.Records).HelloRequest), want: "lost"},
		{name: "a request for a certificate after the handshake", serve: after(func(r *dnstest.Records) error {
			return r.Write(dnstest.RecordHandshake, []byte{13, 0, 0, 3, 0, 0, 0})
		}), want: "lost"},
		{name: "octets of no record", serve: func(nc *tls.Conn, _ *dnstest.Records) int {
			dnstest.ReadMessage(nc)
			go waitForEnd(under(nc))
			return endless(func() error { _, err := under(nc).Write(make([]byte, 100)); return err })
		}, want: "lost"},
		{name: "an octet a record, in time", serve: func(nc *tls.Conn, r *dnstest.Records) int {
			out := frame(replyTo(dnstest.ReadMessage(nc)))
			for i := range out {
				_ = r.Write(dnstest.RecordData, out[i:i+1])
				time.Sleep(10 * time.Millisecond)
			}
			waitForEnd(under(nc))
			return 0
		}, want: "NOERROR", took: time.Second},
		{name: "an octet a record, and a ticket each", serve: func(nc *tls.Conn, r *dnstest.Records) int {
			dnstest.ReadMessage(nc)
			go waitForEnd(under(nc))
			return endless(func() error {
				time.Sleep(10 * time.Millisecond)
				_ = r.Ticket(100)
				return r.Write(dnstest.RecordData, []byte{0xff})
			}) - 4000/10
		}, want: "lost", took: 4100 * time.Millisecond},
		{name: "empty messages", serve: after(func(r *dnstest.Records) error { return r.Message(nil) }), want: "lost"},
		{name: "headers alone", serve: after(func(r *dnstest.Records) error { return r.Message(make([]byte, 12)) }), want: "lost"},
		{name: "a length that is too short", serve: func(nc *tls.Conn, r *dnstest.Records) int {
			msg := replyTo(dnstest.ReadMessage(nc))
			out := frame(msg)
			binary.BigEndian.PutUint16(out, uint16(len(msg)-3))
			_ = r.Write(dnstest.RecordData, out)
			waitForEnd(under(nc))
			return 0
		}, want: "not connected", took: 4 * time.Second},
		{name: "a length that is too long", serve: func(nc *tls.Conn, r *dnstest.Records) int {
			msg := replyTo(dnstest.ReadMessage(nc))
			out := frame(msg)
			binary.BigEndian.PutUint16(out, uint16(len(msg)+1))
			_ = r.Write(dnstest.RecordData, out)
			waitForEnd(under(nc))
			return 0
		}, want: "not connected", took: 4 * time.Second},
		{name: "half closed", serve: func(nc *tls.Conn, _ *dnstest.Records) int {
			dnstest.ReadMessage(nc)
			_ = nc.CloseWrite()
			waitForEnd(under(nc))
			return 0
		}, want: "lost"},
		{name: "replies that nobody asked for, first", serve: func(nc *tls.Conn, r *dnstest.Records) int {
			q := new(dns.Msg).SetQuestion("www.example.", dns.TypeA)
			q.Response = true
			for range maxStrayReplies / 2 {
				_ = r.Message(packed(q))
			}
			answer(nc, r)
			waitForEnd(under(nc))
			return 0
		}, want: "NOERROR"},
		{name: "does not read, and asks for new keys", serve: func(nc *tls.Conn, r *dnstest.Records) int {
			dnstest.ReadMessage(nc)
			_ = r.KeyUpdate(true)
			time.Sleep(time.Minute)
			return 0
		}, want: "not connected", took: 4 * time.Second},
	}
}

// TestLies: whatever an authenticated server writes, its connection ends after few
// records and in little time, or goes on as if nothing had happened.
func TestLies(t *testing.T) {
	for _, c := range lies() {
		t.Run(c.name, func(t *testing.T) {
			var v *virtual
			written, stop := 0, (chan struct{})(nil)
			serve := func(_ int, nc net.Conn) {
				conn, r, err := dnstest.ServeRecords(under(nc), v.serverConfig(c.tls12))
				if err != nil {
					t.Error(err)
					return
				}
				defer under(nc).Close()
				written = c.serve(conn, r)
				close(stop)
			}
			inVirtualTime(t, true, serve, func(virtual *virtual) {
				v, stop = virtual, make(chan struct{})
				v.ask(c.want)
				if took := time.Since(v.began); took > c.took {
					t.Errorf("it took %v", took)
				}
				<-stop
				if n, _ := v.connections(); n != 1 || written > 80 {
					t.Errorf("%d connections, %d records taken", n, written)
				}
				for _, h := range v.news {
					if h.Fault != nil && strings.Contains(h.Fault.Error(), "handshake failed") {
						t.Errorf("%v", h.Fault)
					}
				}
			})
		})
	}
}

// TestNewKeys: a server may ask for new keys at any time, also long after the last
// question; the connection goes on.
func TestNewKeys(t *testing.T) {
	var v *virtual
	serve := func(_ int, nc net.Conn) {
		conn, r, err := dnstest.ServeRecords(under(nc), v.serverConfig(false))
		if err != nil {
			t.Error(err)
			return
		}
		asked := make(chan []byte)
		go func() {
			defer close(asked)
			for msg := dnstest.ReadMessage(conn); msg != nil; msg = dnstest.ReadMessage(conn) {
				asked <- msg
			}
		}()
		for {
			select {
			case msg := <-asked:
				if msg == nil {
					return
				}
				_ = r.Message(replyTo(msg))
			case <-time.After(3 * time.Second): // later than a write may take
				_ = r.KeyUpdate(true)
			}
		}
	}
	inVirtualTime(t, true, serve, func(virtual *virtual) {
		v = virtual
		for range 20 {
			v.ask("NOERROR")
			time.Sleep(8 * time.Second)
		}
		if n, _ := v.connections(); n != 1 {
			t.Errorf("%d connections", n)
		}
	})
}

// crashing is a connection that crashes in reading, writing or closing.
type crashing struct {
	net.Conn
	read, write, end bool
}

func (c crashing) Read(p []byte) (int, error) {
	if c.read {
		panic("read")
	}
	return c.Conn.Read(p)
}

func (c crashing) Write(p []byte) (int, error) {
	if c.write {
		panic("write")
	}
	return c.Conn.Write(p)
}

func (c crashing) Close() error {
	err := c.Conn.Close()
	if c.end {
		panic("close")
	}
	return err
}

// TestCrash: crypto/tls is large, and messages of servers have made it panic before. A panic
// ends one connection and is reported.
func TestCrash(t *testing.T) {
	for _, c := range []crashing{{read: true}, {write: true}, {end: true}} {
		for _, secure := range []bool{false, true} {
			inVirtualTime(t, secure, answering(), func(v *virtual) {
				v.wrap = func(nc net.Conn) net.Conn { c.Conn = nc; return c }
				want, crash := "lost", "read"
				switch {
				case c.end:
					want, crash = "NOERROR", "close"
				case secure: // in the handshake
					want = "not connected"
				}
				if c.write {
					crash = "write"
				}
				v.ask(want)
				time.Sleep(time.Minute)
				v.wrap = nil
				v.ask("NOERROR")
				v.mu.Lock()
				defer v.mu.Unlock()
				if len(v.crashes) != 1 || v.crashes[0] != crash {
					t.Errorf("secure %v: crashes %q, want %q", secure, v.crashes, crash)
				}
			})
		}
	}
}

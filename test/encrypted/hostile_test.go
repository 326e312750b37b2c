package encrypted

import (
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/dnstest"
)

// mode says how a server treats its connections.
type mode uint32

const (
	well mode = iota
	closesEach
	closesIdle
	resets
	halfCloses
	silent
	silentHandshake
	refusesHandshake
	plainText
	drips
	emptyFrames
	endlessFrame
	garbage
	strangers // answers to questions that nobody asked, and the right one
	liar      // answers to other questions with the id of this one, and no right one
	servfails
	modes
)

var modeNames = [modes]string{
	"well", "closes each", "closes idle", "resets", "half closes", "silent", "silent handshake", "refuses the handshake", "plain text",
	"drips", "empty frames", "endless frame", "garbage", "strangers", "liar", "SERVFAIL",
}

func (m mode) String() string { return modeNames[m] }

// hostile is a server over TLS whose mode other goroutines change.
type hostile struct {
	*dnstest.TLSServer
	mode atomic.Uint32
}

func newHostile(t *testing.T, ca *dnstest.CA) *hostile {
	t.Helper()
	h := new(hostile)
	h.TLSServer = dnstest.NewTLSServer(t, dnstest.ServerConfig(ca.Leaf(t, named)), dnstest.TLSScript{Raw: h.raw, Serve: h.serve})
	return h
}

func (h *hostile) now() mode { return mode(h.mode.Load()) }

// set changes the mode of the server, from the next question or connection on.
func (h *hostile) set(m mode) { h.mode.Store(uint32(m)) }

// patienceOfServers bounds the time that a server spends on one connection.
const patienceOfServers = 5 * time.Second

func (h *hostile) raw(_ int, nc net.Conn) bool {
	_ = nc.SetDeadline(time.Now().Add(time.Minute))
	switch h.now() {
	case silentHandshake:
		_ = nc.SetDeadline(time.Now().Add(patienceOfServers))
		_, _ = io.Copy(io.Discard, nc)
	case refusesHandshake:
		_, _ = nc.Read(make([]byte, 100))
	case plainText:
		_, _ = nc.Write([]byte("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"))
	default:
		return false
	}
	return true
}

// theAddress returns the address of a name. Each name has its own, so that answers to other
// names are noticed.
func theAddress(name string) net.IP {
	h := fnv.New32a()
	_, _ = h.Write([]byte(dns.CanonicalName(name)))
	sum := h.Sum(nil)
	return net.IPv4(10, sum[1], sum[2], sum[3])
}

func theAnswer(q *dns.Msg) *dns.Msg {
	name := q.Question[0].Name
	return dnstest.Reply(q, dns.RcodeSuccess, fmt.Sprintf("%s 60 IN A %v", name, theAddress(name)))
}

func (h *hostile) serve(p *dnstest.TLSPeer) {
	defer p.Close()
	for n := 0; ; n++ {
		if h.now() == closesIdle {
			_ = p.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		}
		q := question(p)
		if q == nil {
			return
		}
		h.Questions.Add(1)
		_ = p.SetDeadline(time.Now().Add(time.Minute))
		if !h.answer(p, q) {
			return
		}
	}
}

// answer does what the mode says, and returns false to end the connection.
func (h *hostile) answer(p *dnstest.TLSPeer, q *dns.Msg) bool {
	good := theAnswer(q)
	end := time.Now().Add(patienceOfServers)
	switch h.now() {
	case closesEach:
		p.Write1(dnstest.Pack(good))
		return false
	case resets:
		_ = p.NetConn().(*net.TCPConn).SetLinger(0)
		_ = p.NetConn().Close()
		return false
	case halfCloses:
		_ = p.CloseWrite()
		_ = p.SetReadDeadline(end)
		_, _ = io.Copy(io.Discard, p)
		return false
	case silent:
		return true
	case drips:
		return trickle(p, append([]byte{0xff, 0xff}, dnstest.Pack(good)...), 50*time.Millisecond, end)
	case emptyFrames:
		return trickle(p, []byte{0, 0, 0, 0}, 0, end)
	case endlessFrame:
		_, err := p.Write([]byte{0xff, 0xff, 1})
		return err == nil
	case garbage:
		junk := make([]byte, 4096)
		for i := range junk {
			junk[i] = byte(rand.Uint32())
		}
		_, err := p.Write(junk)
		return err == nil
	case strangers:
		for range 8 {
			other := good.Copy()
			other.Id = uint16(rand.Uint32())
			p.Write1(dnstest.Pack(other))
		}
	case liar:
		other := good.Copy()
		other.Question[0].Name = "other.example."
		p.Write1(dnstest.Pack(other))
		return true
	case servfails:
		good = dnstest.Reply(q, dns.RcodeServerFailure)
	}
	p.Write1(dnstest.Pack(good))
	return true
}

// trickle writes the octets one by one, until the connection ends or a limit is reached.
// Without a pause, it writes several at once.
func trickle(p *dnstest.TLSPeer, octets []byte, pause time.Duration, end time.Time) bool {
	for i := 0; time.Now().Before(end); i++ {
		piece := octets[i%len(octets):][:1]
		if pause == 0 {
			piece = make([]byte, 1<<14)
		}
		if _, err := p.Write(piece); err != nil {
			break
		}
		time.Sleep(pause)
	}
	return false
}

// TestHostileServers: whatever a domain's only server does, a client gets its answer in time,
// either the right one or a failure, and there are few connections. The server is used as
// soon as it works, and other domains are not affected.
func TestHostileServers(t *testing.T) {
	t.Parallel()
	for name, start := range starters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := dnstest.NewCA(t, "CA")
			servers, stubs := map[mode]*hostile{}, map[string]*dnstest.TLSServer{}
			for m := range modes {
				servers[m] = newHostile(t, ca)
				servers[m].set(m)
				stubs[domain(m)] = servers[m].TLSServer
			}
			set := setup{ca: ca.PEM(), stubs: stubs, servers: []*dnstest.TLSServer{servers[well].TLSServer}}
			if name == "dnscache" {
				set.args = []string{"--dns-forward-max=1500"}
			}
			p := start(t, set)
			var wg sync.WaitGroup
			for m, h := range servers {
				wg.Go(func() { h.try(t, p, m) })
			}
			wg.Wait()
			p.Running(t)
		})
	}
}

func domain(m mode) string { return fmt.Sprintf("m%d.example", m) }

// try asks for names of the server's domain while the server is in a mode, and when it works
// again.
func (h *hostile) try(t *testing.T, p *program, m mode) {
	t.Helper()
	const rounds, each = 2, 20
	began := time.Now()
	for i := range rounds {
		p.flood(t, fmt.Sprintf("r%d", i), domain(m)+".", each)
	}
	took := time.Since(began)
	if m == well && took > 3*time.Second {
		t.Errorf("well: %d answers take %v while others' servers fail", rounds*each, took)
	}
	if n := h.Accepted.Load(); n > 10 && m != closesEach && m != closesIdle {
		t.Errorf("%v: %d connections for %d questions", m, n, rounds*each)
	}
	h.set(well)
	began = time.Now()
	for i := 0; ; i++ {
		answered, err := p.outcome(fmt.Sprintf("n%d.%s.", i, domain(m)))
		if err != nil {
			t.Errorf("%v: %v", m, err)
		}
		if answered {
			break
		}
		if time.Since(began) > patience {
			t.Errorf("%v: not used again", m)
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Logf("%v: %v with %d connections; used again after %v", m, took.Round(time.Millisecond), h.Accepted.Load(), time.Since(began).Round(time.Millisecond))
}

// flood asks for n names at once. Each must get the right answer or a failure.
func (p *program) flood(t *testing.T, prefix, domain string, n int) {
	t.Helper()
	done := make(chan error, n)
	for i := range n {
		go func() { done <- p.check(fmt.Sprintf("%s-n%d.%s", prefix, i, domain)) }()
	}
	for range n {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// check asks for a name and returns what is wrong with the answer.
func (p *program) check(name string) error {
	_, err := p.outcome(name)
	return err
}

// outcome asks for a name. It returns whether it was answered, and what is wrong with the
// answer.
func (p *program) outcome(name string) (answered bool, err error) {
	m, err := p.exchange(name)
	return err == nil && m.Rcode == dns.RcodeSuccess, err
}

// exchange asks for a name. The reply is the right one or SERVFAIL.
func (p *program) exchange(name string) (*dns.Msg, error) {
	q := new(dns.Msg).SetQuestion(name, dns.TypeA)
	q.SetEdns0(1232, false)
	m, _, err := (&dns.Client{Timeout: 10 * time.Second}).Exchange(q, p.addr)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, err)
	case m.Rcode == dns.RcodeServerFailure && len(m.Answer) == 0:
		return m, nil
	case m.Rcode == dns.RcodeSuccess && len(m.Answer) == 1:
		if a, ok := m.Answer[0].(*dns.A); ok && a.Hdr.Name == name && a.A.Equal(theAddress(name)) {
			return m, nil
		}
	}
	return nil, fmt.Errorf("%s: a wrong answer: %v", name, m)
}

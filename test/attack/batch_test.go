package attack

import (
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/addon"
)

// batch is the number of questions that arrive at once.
const batch = 64

// longQuestions returns questions of 255 octets.
func longQuestions(t *testing.T, round int) [][]byte {
	t.Helper()
	var packets [][]byte
	for i := range batch {
		m := new(dns.Msg)
		label := fmt.Sprintf("%02d%02d", round, i)
		m.SetQuestion(strings.Repeat(strings.Repeat("x", 63)+".", 3)+label+strings.Repeat("y", 61-len(label))+".", dns.TypeA)
		m.SetEdns0(4096, true)
		m.Id = uint16(round*batch + i)
		packet, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		packets = append(packets, packet)
	}
	return packets
}

// echoServer answers every A question, and returns its port and the length of
// the longest question.
func echoServer(t *testing.T) (port string, longest *atomic.Int64) {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	longest = new(atomic.Int64)
	server := &dns.Server{PacketConn: pc, UDPSize: 4096, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		q.Compress = false
		for n := longest.Load(); int64(q.Len()) > n && !longest.CompareAndSwap(n, int64(q.Len())); n = longest.Load() {
		}
		m := new(dns.Msg)
		m.SetReply(q)
		m.Answer = []dns.RR{&dns.A{
			Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.IPv4(192, 0, 2, 1),
		}}
		_ = w.WriteMsg(m)
	})}
	go func() { _ = server.ActivateAndServe() }()
	t.Cleanup(func() { _ = server.Shutdown() })
	_, port, _ = net.SplitHostPort(pc.LocalAddr().String())
	return port, longest
}

// Questions of 255 octets with every EDNS option at its longest arrive and leave
// in one batch, again and again: each is answered, nothing crashes, and an
// ordinary question is answered afterwards. The program is stopped while the
// questions are sent, so that it finds them all at once.
func TestLongestQuestionsInOneBatch(t *testing.T) {
	upstream, longest := echoServer(t)
	ports := addon.FreePorts(t, 2)
	port := ports[0]
	p := addon.StartEnv(t, []string{"GOMAXPROCS=1"}, filepath.Join(binaries, "dnscache"), "--user=root", "--conf-file=",
		"--no-resolv", "--no-hosts", "--listen-address=127.0.0.1", "--port="+strconv.Itoa(port), "--log-facility=-",
		// With one source port all questions leave through one socket.
		"--server=127.0.0.1#"+upstream, "--query-port="+strconv.Itoa(ports[1]), "--cache-size=0", "--dns-forward-max=1000",
		"--add-subnet=2001:db8:1111:2222:3333:4444:5555:6666/128,2001:db8:1111:2222:3333:4444:5555:6666/128",
		"--add-cpe-id="+strings.Repeat("x", 64), "--add-mac=text",
		"--umbrella=deviceid:0123456789abcdef,orgid:4294967295,assetid:4294967295")
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	ask := func(name string) *dns.Msg {
		q := new(dns.Msg)
		q.SetQuestion(name, dns.TypeA)
		client := dns.Client{Timeout: time.Second}
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
			if m, _, err := client.Exchange(q, addr); err == nil {
				return m
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Fatalf("%s was not answered", name)
		return nil
	}
	ask("first.example.")
	conn, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for round := range 10 {
		if err := p.Freeze(); err != nil {
			t.Fatal(err)
		}
		for _, packet := range longQuestions(t, round) {
			if _, err := conn.Write(packet); err != nil {
				t.Fatal(err)
			}
		}
		_ = p.Signal(syscall.SIGCONT)
		answered := make(map[uint16]bool)
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		for b := make([]byte, 4096); len(answered) < batch; {
			n, err := conn.Read(b)
			if err != nil {
				t.Fatalf("round %d: %d of %d questions answered: %v", round, len(answered), batch, err)
			}
			var m dns.Msg
			if err := m.Unpack(b[:n]); err != nil {
				t.Fatal(err)
			}
			if m.Rcode != dns.RcodeSuccess || len(m.Answer) != 1 {
				t.Fatalf("round %d: answered %v", round, &m)
			}
			answered[m.Id] = true
		}
	}
	if n := longest.Load(); n < 400 {
		t.Errorf("the longest question had %d octets: the options were not sent", n)
	}
	ask("last.example.")
	if log := p.Log(); strings.Contains(log, "panic") || strings.Contains(log, "crash") {
		t.Error("something crashed")
	}
}

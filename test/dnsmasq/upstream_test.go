package dnsmasq

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

// rule is one way to answer. It is written as
//
//	[when ...] [how ...] [; an RECORD]... [; ns RECORD]... [; ar RECORD]...
//
// When: s=2 (the second server), name=NAME, below=NAME, type=TYPE, udp, tcp,
// edns, plain, nth=2 (from the second such question on), first=2 (only the
// first two), phase=2 (after the step "phase 2").
//
// How: rcode=NAME, aa, ad, tc, -ra, silent, close (TCP), delay=1s, id=wrong,
// question=other|type|upper|two, noopt, opt (also without one in the
// question), ede=N, cookie, badvers, cut=N and trail=N octets, bare (a header
// only), many=N (A records), txt=N (octets of TXT), twice=ADDRESS (a second
// answer with that address), loop (send the question back to the asker's
// program), raw (repeat the question's octets as an answer).
//
// In a record @ is the name asked for, as it was spelled.
type rule struct {
	words  map[string]string
	an     []string
	ns     []string
	ar     []string
	fitted atomic.Int32
}

func parseRule(text string) (*rule, error) {
	r := &rule{words: map[string]string{}}
	for i, piece := range strings.Split(text, ";") {
		piece = strings.TrimSpace(piece)
		if i == 0 {
			for word := range strings.FieldsSeq(piece) {
				key, value, _ := strings.Cut(word, "=")
				if !strings.Contains(ruleWords, " "+key+" ") {
					return nil, fmt.Errorf("rule %q: what is %q?", text, word)
				}
				r.words[key] = value
			}
			continue
		}
		section, record, _ := strings.Cut(piece, " ")
		if _, err := packRecord(record); err != nil {
			return nil, fmt.Errorf("rule %q: %w", text, err)
		}
		switch section {
		case "an":
			r.an = append(r.an, record)
		case "ns":
			r.ns = append(r.ns, record)
		case "ar":
			r.ar = append(r.ar, record)
		default:
			return nil, fmt.Errorf("rule %q: what is section %q?", text, section)
		}
	}
	return r, nil
}

const ruleWords = " s name below type udp tcp edns plain nth first phase" +
	" rcode aa ad tc -ra silent close delay id question noopt opt ede cookie badvers cut trail bare many txt twice loop raw "

func (r *rule) has(word string) bool {
	_, ok := r.words[word]
	return ok
}

func (r *rule) number(word string) int {
	n, _ := strconv.Atoi(r.words[word])
	return n
}

// seen is a question as a server received it.
type seen struct {
	server int
	tcp    bool
	from   netip.AddrPort
	msg    []byte
	name   string // "?" if it cannot be read
	typ    uint16
	opt    *dns.OPT
	end    int // of the question
	at     time.Time
	good   bool // it has got an answer that needs nothing more
}

// impatience is the time after which dnscache may ask again. On a busy machine it does so
// although the answer is already on its way; such questions are not counted.
const impatience = 90 * time.Millisecond

// same reports whether two questions are equal apart from IDs and addresses.
func (q *seen) same(other *seen) bool {
	return strings.EqualFold(q.name, other.name) && q.typ == other.typ
}

// good reports whether the asking program needs no further answer after that of r.
func (r *rule) good() bool {
	if slices.ContainsFunc([]string{"silent", "close", "loop", "tc", "id", "cut", "badvers"}, r.has) {
		return false
	}
	rcode, question := r.words["rcode"], r.words["question"]
	return (rcode == "" || rcode == "NXDOMAIN") && (question == "" || question == "upper")
}

// text returns the question as the step "seen" shows it.
func (q *seen) text() string {
	flags := binary.BigEndian.Uint16(q.msg[2:])
	s := strings.TrimSpace(fmt.Sprintf("s%d %s %s %s", q.server, q.name, dns.Type(q.typ), flagText(flags)))
	if op := flags >> 11 & 15; op != 0 {
		s += fmt.Sprintf(" opcode=%d", op)
	}
	if q.tcp {
		s += " tcp"
	}
	return s + optText(q.opt)
}

// readQuestion parses as much of a question as it can.
func readQuestion(msg []byte) seen {
	q := seen{msg: msg, name: "?"}
	if len(msg) < 12 {
		return q
	}
	q.end = 12
	if binary.BigEndian.Uint16(msg[4:]) == 0 {
		q.name = "none"
	} else if end, ok := skipName(msg, 12); ok && len(msg) >= end+4 {
		q.end = end + 4
		q.typ = binary.BigEndian.Uint16(msg[end:])
		q.name = nameText(msg[12:end])
	}
	m := new(dns.Msg)
	if m.Unpack(msg) == nil {
		q.opt = m.IsEdns0()
	}
	return q
}

// skipName returns the end of a name without compression.
func skipName(msg []byte, at int) (end int, ok bool) {
	for at < len(msg) && msg[at] != 0 {
		if msg[at] > 63 {
			return 0, false
		}
		at += 1 + int(msg[at])
	}
	return at + 1, at < len(msg)
}

// nameText returns a name in presentation form, and a short form of a very long one.
func nameText(wire []byte) string {
	if len(wire) > 200 {
		return fmt.Sprintf("name-of-%d", len(wire))
	}
	s, _, err := dns.UnpackDomainName(wire, 0)
	if err != nil {
		return "?"
	}
	return s
}

// outside holds all servers of one program in one row.
type outside struct {
	rules []*rule
	self  netip.AddrPort // the program that asks
	// impatient says that the program repeats questions by itself.
	impatient bool
	phase     atomic.Int32
	addrs     []netip.AddrPort
	packs     []*net.UDPConn
	lists     []*net.TCPListener

	mu   sync.Mutex
	seen []seen
	mark chan string
}

// newOutside binds n servers at addr, addr+1 and so on.
func newOutside(rules []*rule, n int, addr netip.Addr, port uint16, self netip.AddrPort, impatient bool) (*outside, error) {
	o := &outside{rules: rules, self: self, impatient: impatient, mark: make(chan string, 16)}
	o.phase.Store(1)
	for range n {
		at := netip.AddrPortFrom(addr, port)
		o.addrs = append(o.addrs, at)
		o.packs, o.lists = append(o.packs, nil), append(o.lists, nil)
		if err := o.open(len(o.addrs)); err != nil {
			o.close()
			return nil, err
		}
		addr = addr.Next()
	}
	return o, nil
}

// open binds the sockets of server number n.
func (o *outside) open(n int) error {
	udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(o.addrs[n-1]))
	if err != nil {
		return err
	}
	if err := stampArrivals(udp); err != nil {
		udp.Close()
		return err
	}
	tcp, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(o.addrs[n-1]))
	if err != nil {
		udp.Close()
		return err
	}
	o.packs[n-1], o.lists[n-1] = udp, tcp
	go o.serveUDP(n, udp)
	go o.serveTCP(n, tcp)
	return nil
}

// shut closes the sockets of server number n.
func (o *outside) shut(n int) {
	if o.packs[n-1] != nil {
		o.packs[n-1].Close()
		o.lists[n-1].Close()
		o.packs[n-1], o.lists[n-1] = nil, nil
	}
}

func (o *outside) close() {
	for n := range o.addrs {
		o.shut(n + 1)
	}
}

func (o *outside) serveUDP(n int, conn *net.UDPConn) {
	buf, control := make([]byte, 65536), make([]byte, 256)
	for {
		size, controlSize, _, from, err := conn.ReadMsgUDPAddrPort(buf, control)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an earlier answer found nobody
		}
		if text, ok := strings.CutPrefix(string(buf[:size]), marker); ok {
			o.mark <- text
			continue
		}
		q := readQuestion(slices.Clone(buf[:size]))
		q.server, q.from, q.at = n, from, arrival(control[:controlSize])
		o.handle(&q, func(msg []byte) { _, _ = conn.WriteToUDPAddrPort(msg, from) }, nil)
	}
}

// stampArrivals makes the system record when packets arrive, because on a busy machine this
// test reads them late.
func stampArrivals(conn *net.UDPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var fault error
	if err := raw.Control(func(fd uintptr) {
		fault = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
	}); err != nil {
		return err
	}
	return fault
}

// arrival returns the time that the system recorded.
func arrival(control []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return time.Now()
	}
	for _, m := range messages {
		if m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) >= 16 {
			return time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:])))
		}
	}
	return time.Now()
}

func (o *outside) serveTCP(n int, l *net.TCPListener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			for {
				msg, err := readStream(conn)
				if err != nil {
					return
				}
				q := readQuestion(msg)
				q.server, q.tcp, q.at = n, true, time.Now()
				o.handle(&q, func(msg []byte) { _, _ = conn.Write(framed(msg)) }, func() { conn.Close() })
			}
		}()
	}
}

func readStream(r io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	msg := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err := io.ReadFull(r, msg)
	return msg, err
}

func framed(msg []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...)
}

// marker begins the packets of settle.
const marker = "mark "

// settle waits until the servers have read everything that was sent to them so far.
func (o *outside) settle() {
	for n, conn := range o.packs {
		if conn == nil {
			continue
		}
		text := fmt.Sprint(n, " ", time.Now().UnixNano())
		c, err := net.Dial("udp", o.addrs[n].String())
		if err != nil {
			continue
		}
		_, _ = c.Write([]byte(marker + text))
		c.Close()
		for late := time.After(5 * time.Second); ; {
			select {
			case got := <-o.mark:
				if got != text {
					continue
				}
			case <-late:
			}
			break
		}
	}
}

// take returns the questions seen since the last time.
func (o *outside) take() []seen {
	o.settle()
	o.mu.Lock()
	defer o.mu.Unlock()
	list := o.seen
	o.seen = nil
	return list
}

// waitFirst waits until a server has received a question.
func (o *outside) waitFirst() {
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		o.mu.Lock()
		n := len(o.seen)
		o.mu.Unlock()
		if n > 0 {
			return
		}
	}
}

// handle records a question and answers it by the first rule that fits.
func (o *outside) handle(q *seen, send func([]byte), hangUp func()) {
	if len(q.msg) < 12 {
		return
	}
	o.mu.Lock()
	var r *rule
	for _, candidate := range o.rules {
		if candidate.fits(q, int(o.phase.Load())) {
			r = candidate
			break
		}
	}
	q.good = r != nil && r.good()
	if !o.impatient || !slices.ContainsFunc(o.seen, func(before seen) bool {
		return before.good && before.same(q) && q.at.Sub(before.at) > impatience
	}) {
		o.seen = append(o.seen, *q)
	}
	o.mu.Unlock()
	switch {
	case r == nil:
		// If a row has no rule for a question, its story shows that.
		send(reply(&rule{words: map[string]string{"rcode": "YXDOMAIN"}}, q))
		return
	case r.has("close") && hangUp != nil:
		hangUp()
		return
	case r.has("silent"):
		return
	case r.has("loop"):
		conn, err := net.Dial("udp", o.self.String())
		if err == nil {
			_, _ = conn.Write(q.msg)
			conn.Close()
		}
		return
	}
	msg := reply(r, q)
	later := func() {
		send(msg)
		if addr := r.words["twice"]; addr != "" {
			send(reply(&rule{an: []string{"@ 60 A " + addr}}, q))
		}
	}
	if d, err := time.ParseDuration(r.words["delay"]); err == nil {
		time.AfterFunc(d, later)
		return
	}
	later()
}

// fits reports whether the rule applies to q.
func (r *rule) fits(q *seen, phase int) bool {
	for word, value := range r.words {
		ok := true
		switch word {
		case "s":
			ok = value == strconv.Itoa(q.server)
		case "name":
			ok = strings.EqualFold(value, q.name)
		case "below":
			ok = strings.HasSuffix(strings.ToLower(q.name), value)
		case "type":
			ok = value == dns.Type(q.typ).String()
		case "udp":
			ok = !q.tcp
		case "tcp":
			ok = q.tcp
		case "edns":
			ok = q.opt != nil
		case "plain":
			ok = q.opt == nil
		case "phase":
			ok = value == strconv.Itoa(phase)
		}
		if !ok {
			return false
		}
	}
	n := int(r.fitted.Add(1))
	return (!r.has("nth") || n >= r.number("nth")) && (!r.has("first") || n <= r.number("first"))
}

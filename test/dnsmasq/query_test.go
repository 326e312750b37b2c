package dnsmasq

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// query is a question to send, written as NAME TYPE [word]...
//
// Words that change the message: edns or edns=SIZE, do, ver=N, cookie, ecs,
// optdup (two OPT records), optowner (one with a name), cd, ad, nord, z, aa,
// tc, qr, rcode=N, opcode=N, class=CH|HS|N, qd=0|2 (two questions),
// qdclaim=N, an, ns and ar (an A record in that section), arclaim=N, trail=N
// and cut=N octets, length=N (of the whole, from the start), raw=HEX (the
// question section). A name long256 has 256 octets.
//
// Words that change the exchange: tcp, x=N (that many at a time, each from its
// own port), resend=N (again after each second, from the same port), show
// (the order of records), size (the octets of the answer), late (questions are
// counted some time after the answer).
type query struct {
	name, typ string
	words     map[string]string
}

const queryWords = " edns do ver cookie ecs optdup optowner cd ad nord z aa tc qr rcode opcode class qd qdclaim" +
	" an ns ar arclaim trail cut length raw tcp x resend show size late "

func parseQuery(fields []string) (*query, error) {
	if len(fields) < 2 {
		return nil, fmt.Errorf("%q has no name and type", fields)
	}
	q := &query{name: fields[0], typ: fields[1], words: map[string]string{}}
	if q.number() < 0 {
		return nil, fmt.Errorf("what is type %q?", q.typ)
	}
	for _, word := range fields[2:] {
		key, value, _ := strings.Cut(word, "=")
		if !strings.Contains(queryWords, " "+key+" ") {
			return nil, fmt.Errorf("what is %q?", word)
		}
		q.words[key] = value
	}
	return q, nil
}

func (q *query) number() int {
	if t, ok := dns.StringToType[q.typ]; ok {
		return int(t)
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(q.typ, "TYPE"), 10, 16)
	if err != nil {
		return -1
	}
	return int(n)
}

func (q *query) has(word string) bool {
	_, ok := q.words[word]
	return ok
}

// int returns the number given for a word, or other if the word is missing.
func (q *query) int(word string, other int) int {
	n, err := strconv.Atoi(q.words[word])
	if err != nil {
		return other
	}
	return n
}

// copies returns how many copies of the query are sent at a time.
func (q *query) copies() int { return max(1, q.int("x", 1)) }

// message builds the octets.
func (q *query) message(id uint16) []byte {
	flags := uint16(flagRD)
	for word, flag := range map[string]uint16{"cd": flagCD, "ad": flagAD, "z": flagZ, "aa": flagAA, "tc": flagTC, "qr": flagQR} {
		if q.has(word) {
			flags |= flag
		}
	}
	if q.has("nord") {
		flags &^= flagRD
	}
	flags |= uint16(q.int("opcode", 0)<<11 | q.int("rcode", 0))
	msg := binary.BigEndian.AppendUint16(nil, id)
	msg = binary.BigEndian.AppendUint16(msg, flags)
	msg = append(msg, make([]byte, 8)...)
	class := uint16(q.int("class", dns.ClassINET))
	if c, ok := dns.StringToClass[q.words["class"]]; ok {
		class = c
	}
	for range q.int("qd", 1) {
		if q.has("raw") {
			msg = append(msg, fromHex(q.words["raw"])...)
		} else {
			msg = append(msg, packName(q.name)...)
			msg = binary.BigEndian.AppendUint16(msg, uint16(q.number()))
			msg = binary.BigEndian.AppendUint16(msg, class)
		}
		msg[5]++
	}
	msg[5] = byte(q.int("qdclaim", int(msg[5])))
	for i, section := range []string{"an", "ns", "ar"} {
		if q.has(section) {
			record, _ := packRecord("extra.ex. 60 A 192.0.2.99")
			msg = append(msg, record...)
			msg[7+2*i]++
		}
	}
	msg = q.appendOPT(msg)
	msg[11] = byte(q.int("arclaim", int(msg[11])))
	msg = append(msg, slices.Repeat([]byte{0xee}, q.int("trail", 0))...)
	msg = msg[:len(msg)-q.int("cut", 0)]
	return msg[:min(len(msg), q.int("length", len(msg)))]
}

func (q *query) appendOPT(msg []byte) []byte {
	if !q.has("edns") && !q.has("do") && !q.has("ver") && !q.has("cookie") && !q.has("ecs") && !q.has("optdup") && !q.has("optowner") {
		return msg
	}
	opt := []byte{0, 0, byte(dns.TypeOPT)}
	if q.has("optowner") {
		opt = append([]byte("\x01x\x02ex"), opt...)
	}
	opt = binary.BigEndian.AppendUint16(opt, uint16(q.int("edns", 1232)))
	opt = append(opt, 0, byte(q.int("ver", 0)), 0, 0)
	if q.has("do") {
		opt[len(opt)-2] = 0x80
	}
	var options []byte
	if q.has("cookie") {
		options = append(options, "\x00\x0a\x00\x08\x01\x02\x03\x04\x05\x06\x07\x08"...)
	}
	if q.has("ecs") {
		options = append(options, "\x00\x08\x00\x07\x00\x01\x18\x00\x7f\x01\x02"...)
	}
	opt = append(binary.BigEndian.AppendUint16(opt, uint16(len(options))), options...)
	copies := 1
	if q.has("optdup") {
		copies = 2
	}
	for range copies {
		msg = append(msg, opt...)
		msg[11]++
	}
	return msg
}

// packName is a name in wire form, whatever its length.
func packName(text string) []byte {
	if n, err := strconv.Atoi(strings.TrimPrefix(text, "long")); err == nil && strings.HasPrefix(text, "long") {
		return longName(n)
	}
	var wire, label []byte
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '\\':
			n, _ := strconv.Atoi(text[i+1 : i+4])
			label = append(label, byte(n))
			i += 3
		case '.':
			if len(label) > 0 {
				wire = append(append(wire, byte(len(label))), label...)
			}
			label = nil
		default:
			label = append(label, c)
		}
	}
	if len(label) > 0 {
		wire = append(append(wire, byte(len(label))), label...)
	}
	return append(wire, 0)
}

// longName is a name of n octets that ends in "ex.".
func longName(n int) []byte {
	const tail = "\x02ex\x00"
	var wire []byte
	for left := n - len(tail); left > 0; {
		size := min(left-1, 63)
		if left-1-size == 1 {
			size-- // a label needs two octets
		}
		wire = append(append(wire, byte(size)), strings.Repeat("a", size)...)
		left -= size + 1
	}
	return append(wire, tail...)
}

func fromHex(text string) []byte {
	out := make([]byte, len(text)/2)
	for i := range out {
		n, err := strconv.ParseUint(text[2*i:2*i+2], 16, 8)
		if err != nil {
			panic(err)
		}
		out[i] = byte(n)
	}
	return out
}

// story is a reply in one line.
func (q *query) story(asked, msg []byte) string {
	if msg == nil {
		return "silence"
	}
	m := new(dns.Msg)
	if err := m.Unpack(msg); err != nil {
		return fmt.Sprintf("unreadable, rcode %d, %d octets", msg[3]&15, len(msg))
	}
	parts := []string{strings.TrimSpace(rcodeText(m.Rcode) + " " + flagText(binary.BigEndian.Uint16(msg[2:])))}
	if m.Opcode != 0 {
		parts[0] += fmt.Sprintf(" opcode=%d", m.Opcode)
	}
	sent := readQuestion(asked)
	switch got := readQuestion(msg); {
	case string(asked[4:6]) != string(msg[4:6]):
		parts = append(parts, fmt.Sprintf("%d questions", binary.BigEndian.Uint16(msg[4:])))
	case string(asked[12:sent.end]) != string(msg[12:min(got.end, len(msg))]):
		parts = append(parts, "question "+got.name+" "+dns.Type(got.typ).String())
	}
	for name, section := range map[string][]dns.RR{"ns: ": m.Ns, "ar: ": m.Extra} {
		if text := recordTexts(section, false); text != "" {
			parts = append(parts, name+text)
		}
	}
	slices.Sort(parts[1:])
	slices.Reverse(parts[1:])
	if text := recordTexts(m.Answer, q.has("show")); text != "" {
		parts = slices.Insert(parts, 1, text)
	}
	if opt := m.IsEdns0(); opt != nil {
		parts[0] += optText(opt)
	}
	if end, ok := messageEnd(m, msg); !ok {
		parts = append(parts, fmt.Sprintf("%d octets behind the end", len(msg)-end))
	}
	if q.has("size") {
		parts = append(parts, fmt.Sprintf("%d octets", len(msg)))
	}
	return strings.Join(parts, " | ")
}

// messageEnd returns where a message ends, and whether that is the end of msg.
func messageEnd(m *dns.Msg, msg []byte) (int, bool) {
	at := 12
	for range m.Question {
		_, end, err := dns.UnpackDomainName(msg, at)
		if err != nil {
			return at, false
		}
		at = end + 4
	}
	for range len(m.Answer) + len(m.Ns) + len(m.Extra) {
		_, end, err := dns.UnpackRR(msg, at)
		if err != nil {
			return at, false
		}
		at = end
	}
	return at, at == len(msg)
}

func rcodeText(rcode int) string {
	if rcode == dns.RcodeBadVers {
		return "BADVERS"
	}
	return dns.RcodeToString[rcode]
}

func flagText(flags uint16) string {
	var out []string
	for _, f := range []struct {
		bit  uint16
		text string
	}{{flagAA, "aa"}, {flagTC, "tc"}, {flagRD, "rd"}, {flagRA, "ra"}, {flagZ, "z"}, {flagAD, "ad"}, {flagCD, "cd"}} {
		if flags&f.bit != 0 {
			out = append(out, f.text)
		}
	}
	return strings.Join(out, " ")
}

// optText returns a short text for an OPT record.
func optText(opt *dns.OPT) string {
	if opt == nil {
		return ""
	}
	text := fmt.Sprintf(" opt=%d", opt.UDPSize())
	if opt.Version() != 0 {
		text += fmt.Sprintf(" ver=%d", opt.Version())
	}
	if opt.Do() {
		text += " do"
	}
	for _, o := range opt.Option {
		switch o := o.(type) {
		case *dns.EDNS0_EDE:
			text += fmt.Sprintf(" ede=%d", o.InfoCode)
		case *dns.EDNS0_COOKIE:
			text += fmt.Sprintf(" cookie-of-%d", len(o.Cookie)/2)
		case *dns.EDNS0_SUBNET:
			text += fmt.Sprintf(" ecs=%s/%d/%d", o.Address, o.SourceNetmask, o.SourceScope)
		case *dns.EDNS0_LOCAL:
			text += fmt.Sprintf(" option-%d=%x", o.Code, o.Data)
		default:
			text += fmt.Sprintf(" option-%d", o.Option())
		}
	}
	return text
}

// recordTexts returns the records of a section without OPT, sorted unless inOrder. If there
// are many, it returns their number.
func recordTexts(section []dns.RR, inOrder bool) string {
	var texts []string
	for _, rr := range section {
		if rr.Header().Rrtype == dns.TypeOPT {
			continue
		}
		text := strings.ReplaceAll(rr.String(), "\t", " ")
		texts = append(texts, strings.Replace(text, " IN ", " ", 1))
	}
	if len(texts) > 5 {
		return fmt.Sprintf("%d records", len(texts))
	}
	for i, text := range texts {
		if name, rest, _ := strings.Cut(text, " "); len(name) > 200 {
			texts[i] = "long. " + rest
		}
		if len(texts[i]) > 150 {
			texts[i] = texts[i][:40] + "..."
		}
	}
	if !inOrder {
		slices.SortFunc(texts, func(a, b string) int { return strings.Compare(withoutTTL(a), withoutTTL(b)) })
	}
	return strings.Join(texts, ", ")
}

func withoutTTL(text string) string { return ttlInLine.ReplaceAllString(text, ". $2") }

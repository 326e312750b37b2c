package dnsmasq

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// header flags
const (
	flagQR = 1 << 15
	flagAA = 1 << 10
	flagTC = 1 << 9
	flagRD = 1 << 8
	flagRA = 1 << 7
	flagZ  = 1 << 6
	flagAD = 1 << 5
	flagCD = 1 << 4
)

// reply returns a rule's reply to a question.
func reply(r *rule, q *seen) []byte {
	qflags := binary.BigEndian.Uint16(q.msg[2:])
	if r.has("raw") {
		out := slices.Clone(q.msg)
		binary.BigEndian.PutUint16(out[2:], qflags|flagQR|flagRA)
		return out
	}
	flags := flagQR | flagRA | qflags&(0x7800|flagRD|flagCD)
	if r.has("-ra") {
		flags &^= flagRA
	}
	for word, flag := range map[string]uint16{"aa": flagAA, "ad": flagAD, "tc": flagTC} {
		if r.has(word) {
			flags |= flag
		}
	}
	rcode := dns.StringToRcode[r.words["rcode"]]
	if r.has("badvers") && q.opt != nil && q.opt.Version() > 0 {
		rcode = dns.RcodeBadVers
	}
	out := slices.Clone(q.msg[:q.end])
	binary.BigEndian.PutUint16(out[2:], flags|uint16(rcode&15))
	for at := 6; at < 12; at++ {
		out[at] = 0
	}
	if r.words["id"] == "wrong" {
		out[1]++
	}
	if r.has("bare") {
		out = out[:12]
		out[4], out[5] = 0, 0
		return out
	}
	if q.name != "?" && q.name != "none" {
		changeQuestion(out, r.words["question"])
		if r.words["question"] == "two" {
			out = append(out, out[12:]...)
			out[5] = 2
		}
	}
	for i, section := range [][]string{r.answers(q), r.ns, r.ar} {
		for _, text := range section {
			record, _ := packRecord(text) // it was read before
			out = append(out, record...)
			out[7+2*i]++
		}
	}
	if opt := replyOPT(r, q, rcode); opt != nil && !r.has("noopt") {
		out = append(out, opt...)
		out[11]++
	}
	return append(out[:len(out)-r.number("cut")], make([]byte, r.number("trail"))...)
}

// answers returns the records of a rule, including those that it gives only as a number.
func (r *rule) answers(q *seen) []string {
	list := slices.Clone(r.an)
	for i := range r.number("many") {
		list = append(list, fmt.Sprintf("@ 60 A 192.0.2.%d", i+1))
	}
	for n := r.number("txt"); n > 0; n -= 200 {
		list = append(list, fmt.Sprintf("@ 60 TXT %s", strings.Repeat(string(rune('a'+n/200)), min(n, 200))))
	}
	return list
}

func changeQuestion(msg []byte, how string) {
	end, ok := skipName(msg, 12)
	if !ok {
		return
	}
	switch how {
	case "other":
		msg[13] ^= 1
	case "type":
		msg[end+1] ^= 1
	case "upper":
		copy(msg[12:end], strings.ToUpper(string(msg[12:end])))
	}
}

// replyOPT returns the OPT record of a reply in wire form, or nil for none.
func replyOPT(r *rule, q *seen, rcode int) []byte {
	if q.opt == nil && !r.has("opt") {
		return nil
	}
	opt := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}}
	opt.SetUDPSize(1232)
	opt.SetExtendedRcode(uint16(rcode))
	if q.opt != nil && q.opt.Do() {
		opt.SetDo()
	}
	if r.has("ede") {
		opt.Option = append(opt.Option, &dns.EDNS0_EDE{InfoCode: uint16(r.number("ede"))})
	}
	if r.has("cookie") {
		opt.Option = append(opt.Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0011223344556677" + "8899aabbccddeeff"})
	}
	buf := make([]byte, 512)
	n, err := dns.PackRR(opt, buf, 0, nil, false)
	if err != nil {
		panic(err)
	}
	return buf[:n]
}

// packRecord packs a record given in zone-file form. The owner name @ becomes a pointer to
// the question.
func packRecord(text string) ([]byte, error) {
	name, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	atQuestion := name == "@"
	if atQuestion {
		name = "."
	}
	rr, err := dns.NewRR(name + " " + rest)
	if err != nil {
		return nil, err
	}
	if rr == nil {
		return nil, fmt.Errorf("%q is no record", text)
	}
	buf := make([]byte, 4096)
	n, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		return nil, err
	}
	if atQuestion {
		return append([]byte{0xc0, 12}, buf[1:n]...), nil
	}
	return buf[:n], nil
}

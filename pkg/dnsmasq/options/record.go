package options

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strings"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// RecordOption is a local record of any type. Its TTL is --local-ttl.
type RecordOption struct {
	Name dnsname.Name
	Type uint16
	// Data is the record's data in uncompressed wire form.
	Data []byte
}

// HostRecord is one --host-record: every name has every address, and the PTR records of the
// addresses have the first name.
type HostRecord struct {
	Names []dnsname.Name
	Addrs []netip.Addr
	// TTL, in seconds, is valid if HasTTL is true; otherwise the TTL is --local-ttl.
	TTL    uint32
	HasTTL bool
}

// CNAME is one alias of --cname.
type CNAME struct {
	// Alias has the form dnsname.MatchSuffix for one name and dnsname.MatchBelow for
	// "*.name".
	Alias  dnsname.Domain
	Target dnsname.Name
	// TTL, in seconds, is valid if HasTTL is true; otherwise the TTL is --local-ttl.
	TTL    uint32
	HasTTL bool
}

// SynthDomain is one --synth-domain. The name of an address in the range is Prefix, the
// address with dashes (or, if Indexed is true, its position in the range, from 0), and
// Domain. With Indexed, the addresses differ only in the lower 64 bits.
type SynthDomain struct {
	Domain      dnsname.Name
	First, Last netip.Addr
	Prefix      string
	Indexed     bool
}

// nameItem parses a target or owner name. An empty name is an error.
func nameItem(text string) (dnsname.Name, error) { return parseName(unhide(text)) }

// targetItem parses a target that may be empty or ".", which is the root.
func targetItem(text string) (dnsname.Name, error) {
	if text == "" || text == "." {
		return dnsname.Root, nil
	}
	return nameItem(text)
}

func setHostRecord(p *parser, value string, _ bool) error {
	const wrong = "Bad host-record"
	var r HostRecord
	var names uniq[dnsname.Name]
	var addrs uniq[netip.Addr]
	list := items(value)
	for i, item := range list {
		plain := unhide(item)
		if addr, err := netip.ParseAddr(plain); err == nil {
			addrs.addItem(addr.Unmap())
			continue
		}
		if n, err := digits(item); err == nil && item != "" && i > 0 && i == len(list)-1 {
			r.TTL, r.HasTTL = uint32(n), true
			continue
		}
		if item == "" {
			continue
		}
		if err := brackets(plain); err != nil {
			return err
		}
		name, err := parseName(plain)
		if err != nil {
			return bad(wrong, "%v", err)
		}
		names.addItem(name)
	}
	if r.Names, r.Addrs = names.list, addrs.list; len(r.Names) == 0 || len(r.Addrs) == 0 {
		return bad(wrong, "the option needs a name and an address")
	}
	p.o.Local.HostRecords = append(p.o.Local.HostRecords, r)
	return nil
}

func setCNAME(p *parser, value string, _ bool) error {
	const wrong = "bad CNAME"
	list := items(strings.TrimSuffix(value, ","))
	var r CNAME
	if last := list[len(list)-1]; len(list) > 2 {
		if n, err := digits(last); err == nil && last != "" {
			r.TTL, r.HasTTL = uint32(n), true
			list = list[:len(list)-1]
		}
	}
	if len(list) < 2 {
		return bad(wrong, "the option needs an alias and a target")
	}
	target, err := nameItem(list[len(list)-1])
	if err != nil {
		return bad(wrong, "%v", err)
	}
	r.Target = target
	for _, item := range list[:len(list)-1] {
		alias, err := parseDomain(unhide(item))
		if err != nil {
			return bad(wrong, "%v", err)
		}
		if alias.Match != dnsname.MatchSuffix && alias.Match != dnsname.MatchBelow {
			return bad(wrong, "the alias %q is not a domain name", item)
		}
		if p.aliases[alias] {
			return bad("duplicate CNAME", "%s", alias)
		}
		p.aliases[alias] = true
		r.Alias = alias
		p.o.Local.CNAMEs = append(p.o.Local.CNAMEs, r)
	}
	return nil
}

// addRecord appends a record whose owner is the first item of an option.
func (p *parser) addRecord(owner string, rrtype uint16, data []byte) error {
	name, err := nameItem(owner)
	if err != nil {
		return err
	}
	if len(data) > 65535 {
		return bad("", "the data of a record has at most 65535 octets, not %d", len(data))
	}
	p.o.Local.Records = append(p.o.Local.Records, RecordOption{Name: name, Type: rrtype, Data: data})
	return nil
}

func setTXT(p *parser, value string, _ bool) error {
	owner, rest, hasText := cut(value, ',')
	var data []byte
	if hasText {
		// Unlike items of other options, texts keep their blanks.
		for item := range strings.SplitSeq(rest, ",") {
			data = appendStrings(data, unhide(item))
		}
	} else {
		data = []byte{0}
	}
	return p.addRecord(owner, wire.TypeTXT, data)
}

// appendStrings appends text as character strings of at most 255 octets.
func appendStrings(data []byte, text string) []byte {
	for {
		n := min(len(text), 255)
		data = append(append(data, byte(n)), text[:n]...)
		if text = text[n:]; text == "" {
			return data
		}
	}
}

// number16 parses a number of 16 bits; an empty text is 0. wrong is dnsmasq's text for the error.
func number16(item, wrong string) (uint16, error) {
	n, err := digits(item)
	if err != nil || n > 65535 {
		return 0, bad(wrong, "%q is not a number from 0 to 65535", item)
	}
	return uint16(n), nil
}

func setSRV(p *parser, value string, _ bool) error {
	list := items(value)
	if len(list) > 5 {
		return bad("", "too many values")
	}
	target := dnsname.Root
	if len(list) > 1 {
		var err error
		if target, err = targetItem(list[1]); err != nil {
			return err
		}
	}
	// port, priority and weight with dnsmasq's defaults.
	numbers := [3]uint16{1, 0, 0}
	wrong := [3]string{"invalid port number", "invalid priority", "invalid weight"}
	for i := 2; i < len(list); i++ {
		n, err := number16(list[i], wrong[i-2])
		if err != nil {
			return err
		}
		numbers[i-2] = n
	}
	data := binary.BigEndian.AppendUint16(nil, numbers[1])
	data = binary.BigEndian.AppendUint16(data, numbers[2])
	data = binary.BigEndian.AppendUint16(data, numbers[0])
	return p.addRecord(list[0], wire.TypeSRV, append(data, target...))
}

func setPTR(p *parser, value string, _ bool) error {
	owner, targetText, _ := cut(value, ',')
	target, err := targetItem(targetText)
	if err != nil {
		return err
	}
	return p.addRecord(owner, wire.TypePTR, []byte(target))
}

func setNAPTR(p *parser, value string, _ bool) error {
	const wrong = "bad NAPTR record"
	list := items(value)
	if len(list) < 6 || len(list) > 7 {
		return bad(wrong, "the option needs 6 or 7 values, not %d", len(list))
	}
	var data []byte
	for _, item := range list[1:3] {
		n, err := number16(item, wrong)
		if err != nil {
			return err
		}
		data = binary.BigEndian.AppendUint16(data, n)
	}
	for _, item := range list[3:6] {
		if item = unhide(item); len(item) > 255 {
			return bad(wrong, "a text has more than 255 octets")
		}
		data = appendStrings(data, unhide(item))
	}
	replacement := dnsname.Root
	if len(list) == 7 {
		var err error
		if replacement, err = targetItem(list[6]); err != nil {
			return bad(wrong, "%v", err)
		}
	}
	return p.addRecord(list[0], wire.TypeNAPTR, append(data, replacement...))
}

func setCAA(p *parser, value string, _ bool) error {
	const wrong = "bad CAA record"
	list := splitN(value, ',', 4)
	if len(list) < 4 {
		return bad(wrong, "the option needs 4 values, not %d", len(list))
	}
	flags, err := number16(list[1], wrong)
	tag := unhide(list[2])
	if err != nil || flags > 255 || tag == "" || len(tag) > 255 {
		return bad(wrong, "flags must be from 0 to 255, and the tag must have 1 to 255 octets")
	}
	data := append([]byte{byte(flags), byte(len(tag))}, tag...)
	return p.addRecord(list[0], wire.TypeCAA, append(data, unhide(list[3])...))
}

func setRR(p *parser, value string, _ bool) error {
	const wrong = "bad RR record"
	list := splitN(value, ',', 3)
	if len(list) < 2 {
		return bad(wrong, "the option needs a name and the number of a type")
	}
	rrtype, err := number16(list[1], wrong)
	if err != nil || rrtype == 0 {
		return bad(wrong, "the type %q is not a number from 1 to 65535", list[1])
	}
	var data []byte
	separator := func(r rune) bool { return strings.ContainsRune(":- ", r) }
	for group := range strings.FieldsFuncSeq(unhide(strings.Join(list[2:], "")), separator) {
		if len(group) == 1 {
			group = "0" + group
		}
		if data, err = hex.AppendDecode(data, []byte(group)); err != nil {
			return bad(wrong, "%q is not hexadecimal with two digits for each octet", group)
		}
	}
	return p.addRecord(list[0], rrtype, data)
}

func setSynthDomain(p *parser, value string, _ bool) error {
	list := items(value)
	if len(list) < 2 {
		return bad("", "the option needs a domain and a range")
	}
	domain, err := nameItem(list[0])
	if err != nil {
		return err
	}
	s := SynthDomain{Domain: domain}
	r, rest, err := parseRange(list[1:])
	if err != nil {
		return err
	}
	if s.First, s.Last = r.first, r.last; len(rest) > 1 {
		return bad("", "too many values")
	}
	if len(rest) == 1 {
		s.Prefix, s.Indexed = strings.CutSuffix(strings.ToLower(unhide(rest[0])), "*")
	}
	if low, high := s.First.As16(), s.Last.As16(); s.Indexed && [8]byte(low[:8]) != [8]byte(high[:8]) {
		return bad("prefix length too small", "addresses can only be numbered in a network of 64 bits or more")
	}
	if s.Prefix != "" {
		if _, err := parseName(s.Prefix + "0"); err != nil || strings.Contains(s.Prefix, ".") {
			return bad("bad prefix", "a label cannot begin with %q", s.Prefix)
		}
	}
	p.o.Local.SynthDomains = append(p.o.Local.SynthDomains, s)
	return nil
}

// typeList parses a list of record types.
func typeList(value string) ([]uint16, error) {
	var list uniq[uint16]
	for _, item := range words(value) {
		n, ok := wire.ParseType(item)
		if !ok {
			return nil, bad("bad RR type", "%q", item)
		}
		list.addItem(n)
	}
	return list.list, nil
}

// checkTypes checks the types of an option that has no effect.
func checkTypes(_ *parser, value string, _ bool) error {
	_, err := typeList(value)
	return err
}

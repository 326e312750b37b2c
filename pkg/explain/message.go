package explain

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// The values of [Answer.Status] that are not names of rcodes.
const (
	// NoData means that the name exists, but has no records of the type.
	NoData = "NODATA"
	// NoReply means that no answer came in time.
	NoReply = "NOREPLY"
)

// Answer is the content of an answer, as text.
type Answer struct {
	// Status is the name of the rcode, NODATA or NOREPLY.
	Status string
	// Records are the records of the answer section in the form of dig, at most MaxLines.
	Records []string
	// Authority are the records of the authority section, at most MaxLines.
	Authority []string
	// Reason is the reason in the answer itself (RFC 8914); "" if it has none.
	Reason string
	// Code is the code of Reason, or -1 if there is none.
	Code int
}

// MaxLines is the largest number of lines in each list of an explanation.
const MaxLines = 200

// Read describes an answer in wire form. If msg is empty or malformed, the status is NOREPLY.
// msg is not kept.
func Read(msg []byte) *Answer {
	var r wire.Reply
	if len(msg) == 0 || !wire.ParseReply(msg, &r) {
		return &Answer{Status: NoReply, Code: -1}
	}
	a := &Answer{Status: wire.RcodeText(r.Rcode), Code: -1}
	var rec wire.Record
	wanted := false
	for it := r.Records(); it.Next(&rec); {
		switch {
		case rec.Section == wire.Answer:
			wanted = wanted || rec.Type == r.Type || r.Type == wire.TypeANY
			if len(a.Records) < MaxLines {
				a.Records = append(a.Records, recordText(r.Msg, &rec))
			}
		case rec.Section == wire.Authority && len(a.Authority) < MaxLines:
			a.Authority = append(a.Authority, recordText(r.Msg, &rec))
		}
	}
	if r.Rcode == wire.RcodeSuccess && !wanted {
		a.Status = NoData
	}
	if e := r.EDNS.ExtendedError(); e.Present {
		a.Code = int(e.Code)
		a.Reason = fmt.Sprintf("extended error %d", a.Code)
		if words := wire.ExtendedErrorText(e.Code); words != "" {
			a.Reason += " (" + words + ")"
		}
		if e.Text != "" {
			a.Reason += ": " + strconv.QuoteToASCII(e.Text)
		}
	}
	return a
}

// ParseName parses the name in a question.
func ParseName(text string) (dnsname.Name, error) {
	name, err := dnsname.Parse(text)
	if err != nil || text == "" {
		return "", fmt.Errorf("%q is not a domain name: %w", text, errors.Join(err, errName))
	}
	return name, nil
}

var errName = errors.New("labels have 1 to 63 characters, and a name at most 255 octets")

// ParseType parses the name of a record type, in upper or lower case. An empty text means A.
func ParseType(text string) (uint16, error) {
	if text == "" {
		return wire.TypeA, nil
	}
	if t, ok := wire.ParseType(text); ok {
		return t, nil
	}
	return 0, fmt.Errorf("unknown record type %q: give a name such as A, AAAA, SRV or PTR, or TYPEn", text)
}

// recordText returns a record in the form of dig.
func recordText(msg []byte, rec *wire.Record) string {
	return fmt.Sprintf("%s\t%d\t%s\t%s\t%s", nameAt(msg, rec.Owner), rec.TTL,
		wire.ClassText(rec.Class), wire.TypeText(rec.Type), dataText(msg, rec))
}

func nameAt(msg []byte, off int) string {
	name, _, ok := wire.AppendName(nil, msg, off)
	if !ok {
		return "?"
	}
	return dnsname.Name(name).String()
}

// dataText returns the data of a record. The data of a type that is not known here is written
// as in RFC 3597.
func dataText(msg []byte, rec *wire.Record) string {
	data := msg[rec.Data:rec.End]
	u16 := func(i int) int { return int(data[i])<<8 | int(data[i+1]) }
	addr, isAddr := netip.AddrFromSlice(data)
	switch {
	case isAddr && (rec.Type == wire.TypeA || rec.Type == wire.TypeAAAA):
		return addr.String()
	case rec.Type == wire.TypeCNAME || rec.Type == wire.TypePTR || rec.Type == wire.TypeNS:
		return nameAt(msg, rec.Data)
	case rec.Type == wire.TypeSRV && len(data) > 6:
		return fmt.Sprintf("%d %d %d %s", u16(0), u16(2), u16(4), nameAt(msg, rec.Data+6))
	case rec.Type == wire.TypeMX && len(data) > 2:
		return fmt.Sprintf("%d %s", u16(0), nameAt(msg, rec.Data+2))
	case rec.Type == wire.TypeTXT:
		return textData(data)
	case rec.Type == wire.TypeSOA && len(data) > 20:
		return soaText(msg, rec)
	}
	return fmt.Sprintf("\\# %d %s", len(data), hex.EncodeToString(data))
}

func textData(data []byte) string {
	var parts []string
	for len(data) > 0 {
		n := min(int(data[0]), len(data)-1)
		parts = append(parts, strconv.QuoteToASCII(string(data[1:1+n])))
		data = data[1+n:]
	}
	return strings.Join(parts, " ")
}

func soaText(msg []byte, rec *wire.Record) string {
	_, next, ok := wire.AppendName(nil, msg, rec.Data)
	if !ok {
		return "?"
	}
	text := []string{nameAt(msg, rec.Data), nameAt(msg, next)}
	numbers := msg[rec.End-20 : rec.End]
	for i := 0; i < 20; i += 4 {
		n := uint32(numbers[i])<<24 | uint32(numbers[i+1])<<16 | uint32(numbers[i+2])<<8 | uint32(numbers[i+3])
		text = append(text, strconv.FormatUint(uint64(n), 10))
	}
	return strings.Join(text, " ")
}

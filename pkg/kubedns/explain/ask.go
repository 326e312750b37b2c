package explain

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// patience is how long an answer may take: longer than the forwarder waits for servers.
const patience = 5 * time.Second

// answered is an answer of the server.
type answered struct {
	status, reason    string
	answer, authority []string
}

// mailbox receives one answer.
type mailbox chan []byte

// Send implements [listener.Sink].
func (m mailbox) Send(_ listener.ReplyTo, msg []byte) {
	select {
	case m <- append([]byte(nil), msg...):
	default:
	}
}

// ask puts the question to the server, as a client at 127.0.0.1 over TCP does.
func (e *Explainer) ask(ctx context.Context, name dnsname.Name, typ uint16) *answered {
	packet := wire.AppendQuery(nil, 1, wire.FlagRD, wire.Subject{Name: []byte(name), Type: typ, Class: wire.ClassIN}, &wire.OPT{})
	inbox := make(mailbox, 1)
	loopback := netip.MustParseAddr("127.0.0.1")
	to := listener.NewReplyTo(inbox, netip.AddrPortFrom(loopback, 1), loopback, true)
	msg := e.Server.Handle(packet, to, make([]byte, 0, wire.MaxMessage))
	e.Server.Flush()
	if len(msg) == 0 {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		select {
		case msg = <-inbox:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	return read(msg)
}

// read reads an answer.
func read(msg []byte) *answered {
	var r wire.Reply
	if len(msg) == 0 || !wire.ParseReply(msg, &r) {
		return &answered{status: NoReply}
	}
	a := &answered{status: wire.RcodeText(r.Rcode)}
	var rec wire.Record
	wanted := false
	for it := r.Records(); it.Next(&rec); {
		switch {
		case rec.Section == wire.Answer:
			wanted = wanted || rec.Type == r.Type || r.Type == wire.TypeANY
			if len(a.answer) < maxReasons {
				a.answer = append(a.answer, recordText(r.Msg, &rec))
			}
		case rec.Section == wire.Authority && len(a.authority) < maxReasons:
			a.authority = append(a.authority, recordText(r.Msg, &rec))
		}
	}
	if r.Rcode == wire.RcodeSuccess && !wanted {
		a.status = NoData
	}
	if data, ok := wire.Option(r.EDNS.Options, optionEDE); ok && len(data) >= 2 {
		a.reason = fmt.Sprintf("extended error %d", int(data[0])<<8|int(data[1]))
		if len(data) > 2 {
			a.reason += ": " + strconv.QuoteToGraphic(string(data[2:]))
		}
	}
	return a
}

// optionEDE is the EDNS option of extended errors (RFC 8914).
const optionEDE = 15

// parseType reads a record type; "" is A.
func parseType(text string) (uint16, error) {
	text = strings.ToUpper(text)
	if text == "" {
		return wire.TypeA, nil
	}
	if number, ok := strings.CutPrefix(text, "TYPE"); ok {
		if n, err := strconv.ParseUint(number, 10, 16); err == nil {
			return uint16(n), nil
		}
	}
	for t := uint16(1); t <= 260; t++ {
		if wire.TypeText(t) == text {
			return t, nil
		}
	}
	return 0, fmt.Errorf("unknown record type %q: give a name such as A, AAAA, SRV or PTR, or TYPEn", text)
}

// recordText returns a record as dig prints it.
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

// dataText returns the data of a record; types that are not known here are written as
// RFC 3597 says.
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

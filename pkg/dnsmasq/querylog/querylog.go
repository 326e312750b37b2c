// Package querylog writes the events of queries in the words of dnsmasq's log, for people and
// scripts that read it.
//
// Use [Log] as the query log of a forwarder, and the other functions for dnsmasq's other
// messages about queries and servers.
package querylog

import (
	"cmp"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// ConfigSource names data from options in the log.
const ConfigSource = "config"

// Log writes the lines of --log-queries.
type Log struct {
	// Line receives each line, without a line end. It must not block for long.
	Line func(text string)
	// Extra adds the serial number and the client before each line (--log-queries=extra).
	Extra bool
}

var _ forwarder.QueryLog = (*Log)(nil)

// Log implements [forwarder.QueryLog].
func (l *Log) Log(e *forwarder.Event) {
	prefix := ""
	if l.Extra {
		prefix = fmt.Sprintf("%d %s/%d ", e.Serial, e.Client.Addr().Unmap(), e.Client.Port())
	}
	for _, text := range Lines(e) {
		l.Line(prefix + text)
	}
}

// OverLimit returns the message about a question that was refused because of
// --dns-forward-max.
func OverLimit(o forwarder.OverLimit) string {
	to := ""
	if o.Domain != "" {
		to = "to " + o.Domain + " "
	}
	return fmt.Sprintf("Maximum number of concurrent DNS queries %sreached (max: %d)", to, o.Max) + andMore(o.Suppressed)
}

// Rebind returns the message about an answer that was emptied because of --stop-dns-rebind.
// name is in wire form.
func Rebind(name []byte, suppressed uint64) string {
	return "possible DNS-rebind attack detected: " + NameText(name) + andMore(suppressed)
}

// Loop returns the message about a server that is not asked because of --dns-loop-detect.
func Loop(server netip.AddrPort) string {
	return "NOT using nameserver " + ServerText(server) + " - query loop detected"
}

// andMore returns the text about n suppressed messages.
func andMore(n uint64) string {
	if n == 0 {
		return ""
	}
	return ", and " + strconv.FormatUint(n, 10) + " more"
}

// ServerText returns dnsmasq's text for a server.
func ServerText(a netip.AddrPort) string {
	return a.Addr().String() + "#" + strconv.Itoa(int(a.Port()))
}

// Lines returns dnsmasq's lines for an event.
func Lines(e *forwarder.Event) []string {
	switch e.Kind {
	case forwarder.EventQuery:
		return []string{fmt.Sprintf("query[%s] %s from %s", TypeText(e.Type), NameText(e.Name), e.Client.Addr().Unmap())}
	case forwarder.EventForwarded:
		return []string{"forwarded " + NameText(e.Name) + " to " + shortServer(e.Server)}
	case forwarder.EventDuplicate:
		return []string{"reply query is duplicate"}
	case forwarder.EventTruncated:
		return []string{"reply is truncated"}
	case forwarder.EventReply:
		return answerLines("reply", e)
	case forwarder.EventCached:
		return answerLines("cached", e)
	case forwarder.EventStale:
		return answerLines("cached-stale", e)
	case forwarder.EventLocal:
		if e.Addr.IsValid() {
			return []string{ConfigSource + " " + e.Addr.String() + " is NXDOMAIN"}
		}
		return answerLines(cmp.Or(e.Source, ConfigSource), e)
	case forwarder.EventError:
		if e.Class == wire.ClassCH && e.Rcode == wire.RcodeNotImp && len(e.Name) > 0 {
			return []string{ConfigSource + " " + NameText(e.Name) + " is not implemented (EDE: unknown)"}
		}
		return []string{ConfigSource + " error is " + rcodeText(e.Rcode) + reasonText(e)}
	}
	return nil
}

// TypeText returns dnsmasq's text for a record type.
func TypeText(t uint16) string {
	if text := wire.TypeText(t); !strings.HasPrefix(text, "TYPE") {
		return text
	}
	return "type=" + strconv.Itoa(int(t))
}

// rcodeText returns dnsmasq's text for a response code.
func rcodeText(rcode int) string {
	switch rcode {
	case wire.RcodeServFail:
		return "SERVFAIL"
	case wire.RcodeRefused:
		return "REFUSED"
	case wire.RcodeNotImp:
		return "not implemented"
	}
	return strconv.Itoa(rcode)
}

// reasonText returns the text for an extended error (RFC 8914).
func reasonText(e *forwarder.Event) string {
	if !e.HasReason {
		return ""
	}
	text := strings.ToLower(wire.ExtendedErrorText(e.Reason))
	return " (EDE: " + cmp.Or(text, strconv.Itoa(int(e.Reason))) + ")"
}

// shortServer returns the text for a server without the port if that is 53.
func shortServer(a netip.AddrPort) string {
	if a.Port() == 53 {
		return a.Addr().String()
	}
	return ServerText(a)
}

const unprintable = "<name unprintable>"

// NameText returns the text of a wire name in the spelling of the query. It replaces names with
// characters that a terminal or a script could interpret.
func NameText(wire []byte) string {
	if len(wire) == 0 {
		return "."
	}
	var b strings.Builder
	for i := 0; i < len(wire) && wire[i] != 0; {
		n := int(wire[i])
		if n > 63 || i+1+n > len(wire) {
			return unprintable
		}
		if i > 0 {
			b.WriteByte('.')
		}
		for _, c := range wire[i+1 : i+1+n] {
			if c <= ' ' || c >= 0x7f || c == '.' {
				return unprintable
			}
			b.WriteByte(c)
		}
		i += 1 + n
	}
	if b.Len() == 0 {
		return "."
	}
	return b.String()
}

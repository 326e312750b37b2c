package dnstest

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// lastID is the ID of the last question. Random IDs of a few questions that are open at
// once collide now and then, and then one reply is taken for another's.
var lastID atomic.Uint32

// Question returns a query. The options are "edns", "do", "cd", "ad" and "nord".
func Question(name string, qtype uint16, options ...string) *dns.Msg {
	q := new(dns.Msg)
	q.SetQuestion(name, qtype)
	q.Id = uint16(lastID.Add(1))
	for _, o := range options {
		switch o {
		case "edns":
			q.SetEdns0(1232, false)
		case "do":
			q.SetEdns0(1232, true)
		case "cd":
			q.CheckingDisabled = true
		case "ad":
			q.AuthenticatedData = true
		case "nord":
			q.RecursionDesired = false
		default:
			panic("unknown option " + o)
		}
	}
	return q
}

// Summary returns a short text for a reply: rcode, flags, records of all sections, OPT.
func Summary(m *dns.Msg) string {
	var parts []string
	parts = append(parts, dns.RcodeToString[m.Rcode])
	for _, f := range []struct {
		set  bool
		text string
	}{
		{m.Authoritative, "aa"},
		{m.Truncated, "tc"},
		{m.RecursionDesired, "rd"},
		{!m.RecursionAvailable, "-ra"},
		{m.AuthenticatedData, "ad"},
		{m.CheckingDisabled, "cd"},
		{m.Zero, "z"},
	} {
		if f.set {
			parts = append(parts, f.text)
		}
	}
	for _, rr := range slices.Concat(m.Answer, m.Ns, m.Extra) {
		if opt, ok := rr.(*dns.OPT); ok {
			text := "opt"
			if opt.Do() {
				text += " do"
			}
			for _, o := range opt.Option {
				if e, ok := o.(*dns.EDNS0_EDE); ok {
					text = text + " ede" + strconv.Itoa(int(e.InfoCode))
				} else {
					text = text + " option" + strconv.Itoa(int(o.Option()))
				}
			}
			parts = append(parts, text)
			continue
		}
		parts = append(parts, strings.ReplaceAll(rr.String(), "\t", " "))
	}
	return strings.Join(parts, "; ")
}

// Run runs r until the test ends. It must then return soon and without an error.
func Run(tb testing.TB, r interface {
	Run(ctx context.Context) error
},
) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	tb.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				tb.Error(err)
			}
		case <-time.After(Hang):
			tb.Error("Run does not end")
		}
	})
}

// Name parses a name.
func Name(text string) dnsname.Name { return dnsname.MustParse(text) }

// Suffix returns the domain that consists of a name and all names below it.
func Suffix(text string) dnsname.Domain {
	return dnsname.Domain{Match: dnsname.MatchSuffix, Name: Name(text)}
}

// Addrs parses addresses.
func Addrs(texts ...string) []netip.Addr {
	var list []netip.Addr
	for _, text := range texts {
		list = append(list, netip.MustParseAddr(text))
	}
	return list
}

// NewSinkhole returns the address of a socket that nobody reads.
func NewSinkhole(tb testing.TB) netip.AddrPort {
	tb.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { pc.Close() })
	return netip.MustParseAddrPort(pc.LocalAddr().String())
}

// Contains reports whether a domain contains a wire name, in any case. It is a model for the
// tests of faster ways to find out.
func Contains(d dnsname.Domain, name []byte) bool {
	name = dnsname.AppendLower(nil, name)
	at, inside := dnsname.CutZone(name, d.Name)
	switch d.Match {
	case dnsname.MatchSuffix:
		return inside
	case dnsname.MatchBelow:
		return inside && at > 0
	case dnsname.MatchText:
		return strings.HasSuffix(string(dnsname.AppendDotted(nil, name)), d.Text)
	case dnsname.MatchUnqualified:
		return len(name) > 1 && int(name[0])+2 == len(name)
	}
	return true
}

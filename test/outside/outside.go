// Package outside takes the place of the Internet's DNS in tests. It is a scripted resolver
// that knows a few names and answers NXDOMAIN for all others, so that no test's query ever
// leaves the machine.
package outside

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// records are all that the resolver knows. Names under servfail.example.com. fail. All other
// reverse names lead to from-upstream.example.com., except those of documentation addresses,
// which do not exist. Kubernetes' own DNS tests need that and the names of the last two
// lines.
const records = `
www.example.com.     300 IN A     198.51.100.7
www.example.com.     300 IN AAAA  2001:db8:ee::7
ext.example.com.     300 IN A     198.51.100.7
ext.example.com.     300 IN AAAA  2001:db8::7
alias.example.com.   300 IN CNAME ext.example.com.
bare.example.com.    300 IN CNAME nowhere.example.net.
example.com.         300 IN A     192.0.2.53
nowhere.example.net. 300 IN TXT   "no address here"
web.default.myfed.svc.testcontinent-testreg-testzone.testcontinent-testreg.example.com.  60 IN A 203.0.113.5
nope.default.myfed.svc.testcontinent-testreg-testzone.testcontinent-testreg.example.com. 60 IN A 203.0.113.5
8.8.8.8.in-addr.arpa. 300 IN PTR dns.google.
8.8.8.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.8.4.0.6.8.4.1.0.0.2.ip6.arpa. 300 IN PTR dns.google.
`

const soa = "example.com. 60 IN SOA ns.example.com. hostmaster.example.com. 1 3600 600 86400 30"

// Handler answers as the scripted resolver.
type Handler struct {
	known []dns.RR
	soa   dns.RR
}

// NewHandler returns the resolver's handler.
func NewHandler() (*Handler, error) {
	h := &Handler{}
	var err error
	if h.soa, err = dns.NewRR(soa); err != nil {
		return nil, err
	}
	for line := range strings.Lines(records) {
		rr, err := dns.NewRR(line)
		if err != nil {
			return nil, err
		}
		if rr != nil {
			h.known = append(h.known, rr)
		}
	}
	return h, nil
}

// ServeDNS implements dns.Handler.
func (h *Handler) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	m := new(dns.Msg)
	m.SetReply(q)
	m.RecursionAvailable = true
	name := strings.ToLower(q.Question[0].Name)
	switch {
	case strings.HasSuffix(name, ".servfail.example.com."):
		m.Rcode = dns.RcodeServerFailure
	case q.Question[0].Qtype == dns.TypePTR && dns.IsSubDomain("arpa.", name) && !h.listed(name):
		m.Answer = []dns.RR{&dns.PTR{
			Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypePTR, Class: dns.ClassINET, Ttl: 120},
			Ptr: "from-upstream.example.com.",
		}}
	default:
		h.answer(m, name, q.Question[0].Qtype)
	}
	_ = w.WriteMsg(m) // the client may be gone
}

// listed reports whether a reverse name is answered from the records, rather
// than with the name that all others have.
func (h *Handler) listed(name string) bool {
	return dns.IsSubDomain("2.0.192.in-addr.arpa.", name) || dns.IsSubDomain("8.b.d.0.1.0.0.2.ip6.arpa.", name) ||
		slices.ContainsFunc(h.known, func(rr dns.RR) bool { return rr.Header().Name == name })
}

// answer adds the records of a name and follows CNAMEs to their end.
func (h *Handler) answer(m *dns.Msg, name string, typ uint16) {
	exists, chase := false, true
	for range h.known {
		if !chase {
			break
		}
		chase = false
		for _, rr := range h.known {
			if rr.Header().Name != name {
				continue
			}
			exists = true
			cname, isCNAME := rr.(*dns.CNAME)
			if !isCNAME && rr.Header().Rrtype != typ {
				continue
			}
			m.Answer = append(m.Answer, rr)
			if isCNAME && typ != dns.TypeCNAME {
				name, chase = cname.Target, true
				break
			}
		}
	}
	if len(m.Answer) == 0 {
		m.Ns = []dns.RR{h.soa}
		if !exists {
			m.Rcode = dns.RcodeNameError
		}
	}
}

// Serve starts the resolver on addr over UDP and TCP. Port 0 means a port that is free for
// both. It returns the address, and a function that stops the resolver.
func Serve(addr string) (string, func(), error) {
	h, err := NewHandler()
	if err != nil {
		return "", nil, err
	}
	for range 20 {
		pc, err := net.ListenPacket("udp", addr)
		if err != nil {
			return "", nil, err
		}
		l, err := net.Listen("tcp", pc.LocalAddr().String())
		if err != nil { // another program has that port over TCP
			pc.Close()
			continue
		}
		servers := []*dns.Server{{PacketConn: pc, Handler: h}, {Listener: l, Handler: h}}
		for _, s := range servers {
			go func() { _ = s.ActivateAndServe() }() // ends with Shutdown
		}
		return pc.LocalAddr().String(), func() {
			for _, s := range servers {
				_ = s.Shutdown() // it may have ended by itself
			}
		}, nil
	}
	return "", nil, fmt.Errorf("no port at %s that is free over UDP and TCP", addr)
}

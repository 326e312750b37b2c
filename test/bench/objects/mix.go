package objects

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/miekg/dns"
)

// Zone is the domain that holds the names.
const Zone = "cluster.local."

// maxAsked bounds how many Services the questions of a Mix are about.
const maxAsked = 10_000

// Question is one question and what its answer must be.
type Question struct {
	Name    string
	Type    uint16
	Rcode   int
	Answers bool // there are records
}

// FullName is the name of Service i in DNS.
func FullName(i int) string { return fmt.Sprintf("%s.%s.svc.%s", Name(i), Namespace(i), Zone) }

// Mix asks, as often for each, for the address of a Service, of a headless one,
// an IPv6 address, a port, the name of an address, a name that does not exist
// and a type that has no records. It implements load.Questions, and Right is
// the check that goes with it.
type Mix struct {
	list  []Question
	wires [][]byte // name, type and class
}

// Mix returns the questions about c, whose Services must be at least 3.
func (c Cluster) Mix() (*Mix, error) {
	m := &Mix{}
	for k := range min(c.Services, maxAsked) {
		// 7919 is prime, so this visits all Services in an order that gives the
		// caches of the processor no help.
		i := k * 7919 % c.Services
		plain, headless, dual := i-i%10+2, i-i%10, i-i%10+1
		if i%10 > 2 {
			plain = i
		}
		ip, err := dns.ReverseAddr(ClusterIP(plain))
		if err != nil {
			return nil, err
		}
		m.list = append(m.list,
			Question{FullName(plain), dns.TypeA, dns.RcodeSuccess, true},
			Question{FullName(headless), dns.TypeA, dns.RcodeSuccess, true},
			Question{FullName(dual), dns.TypeAAAA, dns.RcodeSuccess, true},
			Question{"_http._tcp." + FullName(plain), dns.TypeSRV, dns.RcodeSuccess, true},
			Question{ip, dns.TypePTR, dns.RcodeSuccess, true},
			Question{"absent-" + FullName(plain), dns.TypeA, dns.RcodeNameError, false},
			Question{FullName(plain), dns.TypeAAAA, dns.RcodeSuccess, false},
		)
	}
	return m, m.pack()
}

// NewMix returns a Mix of given questions.
func NewMix(list ...Question) (*Mix, error) {
	m := &Mix{list: list}
	return m, m.pack()
}

func (m *Mix) pack() error {
	for _, q := range m.list {
		b := make([]byte, 255)
		n, err := dns.PackDomainName(q.Name, b, 0, nil, false)
		if err != nil {
			return fmt.Errorf("packing %q: %w", q.Name, err)
		}
		b = binary.BigEndian.AppendUint16(b[:n:n], q.Type)
		b = binary.BigEndian.AppendUint16(b, dns.ClassINET)
		m.wires = append(m.wires, b)
	}
	return nil
}

// Questions returns all questions, which must not be changed.
func (m *Mix) Questions() []Question { return m.list }

// Append implements load.Questions.
func (m *Mix) Append(dst []byte, n int) []byte { return append(dst, m.wires[n%len(m.wires)]...) }

// Right reports whether answer has the rcode of question n, repeats it, and has
// records if it must.
func (m *Mix) Right(n int, query, answer []byte) bool {
	q := &m.list[n%len(m.list)]
	const rcodeMask = 0x0f
	return IsReply(query, answer) && int(answer[3]&rcodeMask) == q.Rcode &&
		(binary.BigEndian.Uint16(answer[6:]) > 0) == q.Answers
}

// IsReply reports whether answer is a response to query, whatever it says.
func IsReply(query, answer []byte) bool {
	const response = 0x80
	return len(answer) >= len(query) && answer[2]&response != 0 && string(answer[12:len(query)]) == string(query[12:])
}

// Wire returns an IPv4 address as the data of an A record.
func Wire(ipv4 string) []byte {
	a := netip.MustParseAddr(ipv4).As4()
	return a[:]
}

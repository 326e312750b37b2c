package nodelocal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"

	"golang.org/x/sys/unix"
)

// tableOwner is NFT_TABLE_F_OWNER (Linux 5.12): only the socket that made the table may
// change it, and the table ends with the socket.
const tableOwner = 0x2

// rawPriority is the priority of most chains: that of the table "raw", which comes before
// connection tracking.
const rawPriority = -300

// afterFilters is the priority of the chain that counts what the host's packet filters let
// through.
const afterFilters = 300

// Constants of the nf_tables interface that x/sys does not define.
const (
	nfProtoInet   = 1
	hookPre       = 0 // NF_INET_PRE_ROUTING
	hookIn        = 1 // NF_INET_LOCAL_IN
	hookOut       = 3 // NF_INET_LOCAL_OUT
	offSourceV4   = 12
	offDestV4     = 16
	offSourceV6   = 8
	offDestV6     = 24
	offSourcePort = 0
	offDestPort   = 2
	acceptPacket  = 1 // NF_ACCEPT
)

// errNoOwner says that the kernel cannot tie a table to a socket.
var errNoOwner = errors.New("this kernel cannot tie an nftables table to a process (Linux 5.12 or later with nf_tables can)")

// rules is an nftables table that exempts queries to some addresses, or answers from them,
// from connection tracking, and therefore from kube-proxy's address translation. The kernel
// removes the table when the socket closes, however the process ends.
//
// Queries and answers have a table each. That of the queries comes and goes, but answers stay
// exempt while the cache can send any: an answer that it sends after the queries' table was
// removed, because it was stopped for a while or is in its lame-duck time, would be tracked
// as a connection of its own, and the translation would skip that client's port for half a
// minute.
type rules struct {
	conn   *conn  // owns the table
	name   string // of the table
	reader *conn  // reads counters, since the answers may be long; nil before
	buffer []byte // for them
}

// traffic is what a table of rules is for.
type traffic string

const (
	queries traffic = "queries"
	answers traffic = "answers"
)

// installRules creates the table for addrs. If the kernel does not support tables that belong
// to a socket, it creates none and returns an error that wraps errNoOwner.
func installRules(addrs []netip.Addr, of traffic) (*rules, error) {
	c, err := dial(unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, ruleFault(err)
	}
	// A random name, because anybody may have made a table of any name.
	r := &rules{conn: c, name: fmt.Sprintf("dnscache_%s_%08x", of, rand.Uint32())}
	batch, acks := r.build(addrs, of)
	err = c.send(batch, acks)
	if err == nil {
		return r, nil
	}
	c.close()
	return nil, ruleFault(err)
}

// ruleFault adds to err what failed. The result wraps errNoOwner if err means that this
// kernel cannot have such a table.
func ruleFault(err error) error {
	switch {
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOENT), errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EAFNOSUPPORT):
		return fmt.Errorf("%w: %w", errNoOwner, err)
	}
	return fmt.Errorf("adding an nftables table: %w", err)
}

// remove takes the table out of the kernel by closing the socket, which cannot fail.
func (r *rules) remove() {
	r.conn.close()
	if r.reader != nil {
		r.reader.close()
	}
}

// build returns a transaction that creates the table, its chains and its rules, and the
// sequence numbers of the messages that the kernel will acknowledge.
func (r *rules) build(addrs []netip.Addr, of traffic) (batch []byte, acks map[uint32]bool) {
	acks = map[uint32]bool{}
	header := func(family byte, resource uint16) []byte {
		return []byte{family, unix.NFNETLINK_V0, byte(resource >> 8), byte(resource)}
	}
	add := func(typ, flags uint16, fill func(m *message)) {
		seq := r.conn.next()
		acks[seq] = true
		m := newMessage(unix.NFNL_SUBSYS_NFTABLES<<8|typ, flags|unix.NLM_F_CREATE|unix.NLM_F_ACK, seq, header(nfProtoInet, 0))
		fill(&m)
		batch = append(batch, m.finish()...)
	}
	bound := func(typ uint16) {
		m := newMessage(typ, 0, r.conn.next(), header(unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES))
		batch = append(batch, m.finish()...)
	}
	chain := func(name string, hook func(m *message)) {
		add(unix.NFT_MSG_NEWCHAIN, 0, func(m *message) {
			m.text(unix.NFTA_CHAIN_TABLE, r.name)
			m.text(unix.NFTA_CHAIN_NAME, name)
			hook(m)
		})
	}
	rule := func(chain string, appendTo func(m *message)) {
		add(unix.NFT_MSG_NEWRULE, unix.NLM_F_APPEND, func(m *message) {
			m.text(unix.NFTA_RULE_TABLE, r.name)
			m.text(unix.NFTA_RULE_CHAIN, chain)
			m.nest(unix.NFTA_RULE_EXPRESSIONS, func() { appendTo(m) })
		})
	}
	bound(unix.NFNL_MSG_BATCH_BEGIN)
	add(unix.NFT_MSG_NEWTABLE, unix.NLM_F_EXCL, func(m *message) {
		m.text(unix.NFTA_TABLE_NAME, r.name)
		m.be32(unix.NFTA_TABLE_FLAGS, tableOwner)
	})
	chains := baseChains(of)
	for _, base := range chains {
		chain(base.branch.to, func(*message) {})
		chain(base.name, base.hook)
		rule(base.name, base.branch.append)
	}
	for _, protocol := range []byte{unix.IPPROTO_UDP, unix.IPPROTO_TCP} {
		for _, addr := range addrs {
			to, from := match{addr, protocol, false}, match{addr, protocol, true}
			if of == answers {
				rule(answeredChain, from.untrack)
				continue
			}
			rule(cameChain, to.untrackCounted)
			rule(askedChain, to.untrack)
			if protocol == unix.IPPROTO_UDP {
				rule(arrivedChain, to.count)
			}
		}
	}
	bound(unix.NFNL_MSG_BATCH_END)
	return batch, acks
}

// Chains for packets from and to port 53. See cameChain for two more.
const (
	askedChain    = "asked"    // queries that the node's own programs send
	answeredChain = "answered" // answers
)

// baseChain is a chain that the kernel calls for all packets of the host. Nearly all of them
// have other ports than 53, so it contains only a branch to the chain that checks addresses.
type baseChain struct {
	name     string
	number   uint32 // of the hook
	priority int32
	branch   branch
}

func baseChains(of traffic) []baseChain {
	if of == answers {
		return []baseChain{{"output", hookOut, rawPriority, branch{port: offSourcePort, to: answeredChain}}}
	}
	return []baseChain{
		{"prerouting", hookPre, rawPriority, branch{port: offDestPort, to: cameChain}},
		{"output", hookOut, rawPriority, branch{port: offDestPort, to: askedChain}},
		{"input", hookIn, afterFilters, branch{port: offDestPort, to: arrivedChain, others: true}},
	}
}

// hook adds the attributes that make the kernel call the chain.
func (b baseChain) hook(m *message) {
	m.nest(unix.NFTA_CHAIN_HOOK, func() {
		m.be32(unix.NFTA_HOOK_HOOKNUM, b.number)
		m.be32(unix.NFTA_HOOK_PRIORITY, uint32(b.priority))
	})
	m.text(unix.NFTA_CHAIN_TYPE, "filter")
}

// branch sends packets with port 53 to another chain.
type branch struct {
	port   uint32 // the offset of the port in the header
	to     string // the chain
	others bool   // only packets of other hosts and Pods
}

// append adds the expressions.
func (b branch) append(m *message) {
	if b.others {
		notLoopback(m)
	}
	payloadEquals(m, unix.NFT_PAYLOAD_TRANSPORT_HEADER, b.port, []byte("\x00\x35"))
	verdict(m, unix.NFT_GOTO, b.to)
}

// match selects the packets of one protocol from or to an address.
type match struct {
	addr     netip.Addr
	protocol byte
	// source selects packets from the address; if it is false, packets to it.
	source bool
}

// untrack adds the expressions of a rule that exempts the packets from connection tracking
// and looks at no other rule.
func (t match) untrack(m *message) {
	t.append(m)
	expression(m, "notrack", func() {})
	verdict(m, acceptPacket, "")
}

// untrackCounted adds the expressions of a rule that exempts the packets from connection
// tracking, and counts the UDP packets of other hosts and Pods.
func (t match) untrackCounted(m *message) {
	if t.protocol != unix.IPPROTO_UDP {
		t.untrack(m)
		return
	}
	t.append(m)
	expression(m, "notrack", func() {})
	notLoopback(m)
	counter(m)
	verdict(m, acceptPacket, "")
}

// count adds the expressions of a rule that counts the packets.
func (t match) count(m *message) {
	t.append(m)
	counter(m)
}

// append adds the expressions that select the packets: family, address, protocol.
func (t match) append(m *message) {
	family, offset := byte(unix.NFPROTO_IPV4), uint32(offDestV4)
	switch {
	case t.addr.Is4() && t.source:
		offset = offSourceV4
	case t.addr.Is6() && t.source:
		family, offset = unix.NFPROTO_IPV6, offSourceV6
	case t.addr.Is6():
		family, offset = unix.NFPROTO_IPV6, offDestV6
	}
	metaEquals(m, unix.NFT_META_NFPROTO, family)
	payloadEquals(m, unix.NFT_PAYLOAD_NETWORK_HEADER, offset, t.addr.AsSlice())
	metaEquals(m, unix.NFT_META_L4PROTO, t.protocol)
}

// notLoopback ends the rule for the host's own packets.
func notLoopback(m *message) {
	expression(m, "meta", func() {
		m.be32(unix.NFTA_META_DREG, unix.NFT_REG_1)
		m.be32(unix.NFTA_META_KEY, unix.NFT_META_IIF)
	})
	compare(m, unix.NFT_CMP_NEQ, binary.NativeEndian.AppendUint32(nil, loopbackIndex))
}

// counter counts the packets that get there.
func counter(m *message) {
	expression(m, "counter", func() {
		m.attr(nftaCounterBytes, make([]byte, 8))
		m.attr(nftaCounterPackets, make([]byte, 8))
	})
}

// verdict ends the chain for the packet; chain is that of NFT_GOTO.
func verdict(m *message, code int32, chain string) {
	expression(m, "immediate", func() {
		m.be32(unix.NFTA_IMMEDIATE_DREG, unix.NFT_REG_VERDICT)
		m.nest(unix.NFTA_IMMEDIATE_DATA, func() {
			m.nest(unix.NFTA_DATA_VERDICT, func() {
				m.be32(unix.NFTA_VERDICT_CODE, uint32(code))
				if chain != "" {
					m.text(unix.NFTA_VERDICT_CHAIN, chain)
				}
			})
		})
	})
}

// expression adds one expression of a rule.
func expression(m *message, name string, fill func()) {
	m.nest(unix.NFTA_LIST_ELEM, func() {
		m.text(unix.NFTA_EXPR_NAME, name)
		m.nest(unix.NFTA_EXPR_DATA, fill)
	})
}

// metaEquals adds expressions that end the rule unless a property of the packet has this
// value.
func metaEquals(m *message, key uint32, value byte) {
	expression(m, "meta", func() {
		m.be32(unix.NFTA_META_DREG, unix.NFT_REG_1)
		m.be32(unix.NFTA_META_KEY, key)
	})
	equals(m, []byte{value})
}

// payloadEquals adds expressions that end the rule unless the packet has value at this offset
// of a header.
func payloadEquals(m *message, base, offset uint32, value []byte) {
	expression(m, "payload", func() {
		m.be32(unix.NFTA_PAYLOAD_DREG, unix.NFT_REG_1)
		m.be32(unix.NFTA_PAYLOAD_BASE, base)
		m.be32(unix.NFTA_PAYLOAD_OFFSET, offset)
		m.be32(unix.NFTA_PAYLOAD_LEN, uint32(len(value)))
	})
	equals(m, value)
}

func equals(m *message, value []byte) { compare(m, unix.NFT_CMP_EQ, value) }

// compare adds an expression that ends the rule unless comparing register 1 with value by op
// succeeds.
func compare(m *message, op uint32, value []byte) {
	expression(m, "cmp", func() {
		m.be32(unix.NFTA_CMP_SREG, unix.NFT_REG_1)
		m.be32(unix.NFTA_CMP_OP, op)
		m.nest(unix.NFTA_CMP_DATA, func() { m.attr(unix.NFTA_DATA_VALUE, value) })
	})
}

package nodelocal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// tableOwner is NFT_TABLE_F_OWNER (Linux 5.12): only the socket that made the table may
// change it, and the table ends with the socket.
const tableOwner = 0x2

// The priority of the chains is that of the table "raw", before connection tracking.
const rawPriority = -300

// afterFilters is the priority of the chain that counts what the host's packet filters let
// through.
const afterFilters = 300

// Parts of nf_tables' interface that x/sys does not name.
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
)

// errNoOwner says that the kernel cannot tie a table to a socket.
var errNoOwner = errors.New("this kernel cannot tie an nftables table to a process (Linux 5.12 or later with nf_tables can)")

// rules is an nftables table that exempts the DNS packets of some addresses from
// connection tracking, and so from the address translation of kube-proxy. The kernel
// removes the table when the socket is closed, whatever ends the process.
type rules struct {
	conn   *conn  // owns the table
	name   string // of the table
	reader *conn  // reads counters, since the answers may be long; nil before
	buffer []byte // for them
}

// installRules makes the table for addrs. If the kernel has no tables that end with their
// owner, it makes none and returns an error that wraps errNoOwner.
func installRules(addrs []netip.Addr) (*rules, error) {
	c, err := dial(unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, errors.Join(errNoOwner, err)
	}
	r := &rules{conn: c, name: fmt.Sprintf("dnscache_%d", c.portID())}
	batch, acks := r.build(addrs)
	err = c.send(batch, acks)
	if err == nil {
		return r, nil
	}
	c.close()
	return nil, ruleFault(err)
}

// ruleFault tells the error of a kernel that cannot have the table, which wraps errNoOwner,
// from others.
func ruleFault(err error) error {
	switch {
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOENT), errors.Is(err, unix.EPROTONOSUPPORT):
		return fmt.Errorf("%w: %w", errNoOwner, err)
	}
	return fmt.Errorf("adding an nftables table: %w", err)
}

// remove takes the table out of the kernel: closing the socket does it, and cannot fail.
func (r *rules) remove() {
	r.conn.close()
	if r.reader != nil {
		r.reader.close()
	}
}

// build returns one transaction with the table, its chains and rules, and the numbers
// that the kernel acknowledges.
func (r *rules) build(addrs []netip.Addr) (batch []byte, acks map[uint32]bool) {
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
	chain := func(name string, hook uint32, priority int32) {
		add(unix.NFT_MSG_NEWCHAIN, 0, func(m *message) {
			m.text(unix.NFTA_CHAIN_TABLE, r.name)
			m.text(unix.NFTA_CHAIN_NAME, name)
			m.nest(unix.NFTA_CHAIN_HOOK, func() {
				m.be32(unix.NFTA_HOOK_HOOKNUM, hook)
				m.be32(unix.NFTA_HOOK_PRIORITY, uint32(priority))
			})
			m.text(unix.NFTA_CHAIN_TYPE, "filter")
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
	chain(cameChain, hookPre, rawPriority)
	chain("output", hookOut, rawPriority)
	chain(arrivedChain, hookIn, afterFilters)
	for _, addr := range addrs {
		rule(cameChain, match{addr, unix.IPPROTO_UDP, false}.count)
		rule(arrivedChain, match{addr, unix.IPPROTO_UDP, false}.count)
		for _, protocol := range []byte{unix.IPPROTO_UDP, unix.IPPROTO_TCP} {
			rule(cameChain, match{addr, protocol, false}.untrack) // queries of Pods
			rule("output", match{addr, protocol, false}.untrack)  // queries of the node
			rule("output", match{addr, protocol, true}.untrack)   // answers
		}
	}
	bound(unix.NFNL_MSG_BATCH_END)
	return batch, acks
}

// match selects packets from or to port 53 of an address.
type match struct {
	addr     netip.Addr
	protocol byte
	// source selects packets from the address, otherwise those to it.
	source bool
}

// untrack adds the expressions of a rule that exempts the packets from connection tracking.
func (t match) untrack(m *message) {
	t.append(m)
	expression(m, "notrack", func() {})
}

// count adds those of a rule that counts the packets, except for the host's own.
func (t match) count(m *message) {
	expression(m, "meta", func() {
		m.be32(unix.NFTA_META_DREG, unix.NFT_REG_1)
		m.be32(unix.NFTA_META_KEY, unix.NFT_META_IIF)
	})
	compare(m, unix.NFT_CMP_NEQ, binary.NativeEndian.AppendUint32(nil, loopbackIndex))
	t.append(m)
	expression(m, "counter", func() {
		m.attr(nftaCounterBytes, make([]byte, 8))
		m.attr(nftaCounterPackets, make([]byte, 8))
	})
}

// append adds the expressions that select the packets: family, address, protocol, port.
func (t match) append(m *message) {
	const dnsPort = "\x00\x35"
	family, offset := byte(unix.NFPROTO_IPV4), uint32(offDestV4)
	switch {
	case t.addr.Is4() && t.source:
		offset = offSourceV4
	case t.addr.Is6() && t.source:
		family, offset = unix.NFPROTO_IPV6, offSourceV6
	case t.addr.Is6():
		family, offset = unix.NFPROTO_IPV6, offDestV6
	}
	port := uint32(offDestPort)
	if t.source {
		port = offSourcePort
	}
	address := t.addr.AsSlice()
	metaEquals(m, unix.NFT_META_NFPROTO, family)
	payloadEquals(m, unix.NFT_PAYLOAD_NETWORK_HEADER, offset, address)
	metaEquals(m, unix.NFT_META_L4PROTO, t.protocol)
	payloadEquals(m, unix.NFT_PAYLOAD_TRANSPORT_HEADER, port, []byte(dnsPort))
}

// expression adds one expression of a rule.
func expression(m *message, name string, fill func()) {
	m.nest(unix.NFTA_LIST_ELEM, func() {
		m.text(unix.NFTA_EXPR_NAME, name)
		m.nest(unix.NFTA_EXPR_DATA, fill)
	})
}

// metaEquals ends the rule unless a property of the packet has a value.
func metaEquals(m *message, key uint32, value byte) {
	expression(m, "meta", func() {
		m.be32(unix.NFTA_META_DREG, unix.NFT_REG_1)
		m.be32(unix.NFTA_META_KEY, key)
	})
	equals(m, []byte{value})
}

// payloadEquals ends the rule unless the packet has value at an offset of a header.
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

// compare ends the rule unless register 1 compares to value as op says.
func compare(m *message, op uint32, value []byte) {
	expression(m, "cmp", func() {
		m.be32(unix.NFTA_CMP_SREG, unix.NFT_REG_1)
		m.be32(unix.NFTA_CMP_OP, op)
		m.nest(unix.NFTA_CMP_DATA, func() { m.attr(unix.NFTA_DATA_VALUE, value) })
	})
}

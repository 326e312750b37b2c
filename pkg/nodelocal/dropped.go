package nodelocal

import (
	"encoding/binary"
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// The chains that count the queries that reach the host, and those that its packet filters
// let through.
const (
	cameChain    = "came"
	arrivedChain = "arrived"
)

// Constants of the nf_tables interface that x/sys does not define, and the interface index of
// lo, which is the same in every network namespace.
const (
	nftaCounterBytes   = 1
	nftaCounterPackets = 2
	loopbackIndex      = 1
)

// counts are numbers of UDP queries from other hosts and Pods: those that came to this host,
// and those that arrived past its packet filters.
type counts struct{ came, arrived uint64 }

// count reads the counters of the table.
func (r *rules) count() (n counts, err error) {
	if r.reader == nil {
		if r.reader, err = dial(unix.NETLINK_NETFILTER); err != nil {
			return n, err
		}
		r.buffer = make([]byte, dumpBytes)
	}
	for chain, sum := range map[string]*uint64{cameChain: &n.came, arrivedChain: &n.arrived} {
		if *sum, err = r.counted(chain); err != nil {
			return n, err
		}
	}
	return n, nil
}

// counted returns the sum of the counters in a chain.
func (r *rules) counted(chain string) (sum uint64, err error) {
	m := newMessage(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETRULE, unix.NLM_F_DUMP, r.reader.next(), []byte{nfProtoInet, unix.NFNETLINK_V0, 0, 0})
	m.text(unix.NFTA_RULE_TABLE, r.name)
	m.text(unix.NFTA_RULE_CHAIN, chain)
	err = r.reader.dump(m.finish(), r.buffer, func(body []byte) {
		if len(body) < 4 {
			return
		}
		eachAttr(body[4:], func(typ uint16, value []byte) {
			if typ == unix.NFTA_RULE_EXPRESSIONS {
				eachAttr(value, func(_ uint16, element []byte) { sum += packetsOf(element) })
			}
		})
	})
	return sum, err
}

// packetsOf returns the packet count of an nftables expression, or 0 if it is not a counter.
func packetsOf(element []byte) (packets uint64) {
	counter := false
	eachAttr(element, func(typ uint16, value []byte) {
		switch {
		case typ == unix.NFTA_EXPR_NAME:
			counter = string(value) == "counter\x00"
		case typ == unix.NFTA_EXPR_DATA && counter:
			eachAttr(value, func(typ uint16, value []byte) {
				if typ == nftaCounterPackets && len(value) == 8 {
					packets = binary.BigEndian.Uint64(value)
				}
			})
		}
	})
	return packets
}

// eachAttr calls f for each attribute in b, which the kernel wrote.
func eachAttr(b []byte, f func(typ uint16, value []byte)) {
	for len(b) >= unix.SizeofRtAttr {
		length := int(binary.NativeEndian.Uint16(b))
		if length < unix.SizeofRtAttr || length > len(b) {
			return
		}
		f(binary.NativeEndian.Uint16(b[2:])&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER), b[unix.SizeofRtAttr:length])
		b = b[min((length+3)&^3, len(b)):]
	}
}

// dumpBytes is the size of the buffer for dumps. The kernel never puts more into one packet
// of a dump than fits a buffer of this size.
const dumpBytes = 16 << 10

// dump sends a request whose answer is many messages, and calls f with the body of each.
func (c *conn) dump(request, buf []byte, f func(body []byte)) error {
	if err := unix.Sendto(c.fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	for {
		n, _, err := unix.Recvfrom(c.fd, buf, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		messages, err := syscall.ParseNetlinkMessage(buf[:n])
		if err != nil {
			return err
		}
		for _, m := range messages {
			switch m.Header.Type {
			case unix.NLMSG_DONE:
				return nil
			case unix.NLMSG_ERROR:
				if len(m.Data) >= 4 {
					return unix.Errno(-int32(binary.NativeEndian.Uint32(m.Data)))
				}
				return unix.EBADMSG
			}
			f(m.Data)
		}
	}
}

// dropLimit is how many queries from other hosts and Pods must come, with none of them
// arriving, before we conclude that the host's packet filters drop them.
const dropLimit = 3

// filterWatch notices when the host's packet filters drop queries. The supervisor's own
// checks cannot notice it: they use lo, whose traffic filters usually accept. The zero value
// is ready to use.
type filterWatch struct {
	last counts // of the last call
	came uint64 // queries since one arrived
}

// drops takes the current counters and reports whether all recent queries were dropped.
func (w *filterWatch) drops(now counts) bool {
	switch {
	case now.arrived > w.last.arrived:
		w.came = 0
	case now.came > w.last.came:
		w.came += now.came - w.last.came
	}
	w.last = now
	return w.came >= dropLimit
}

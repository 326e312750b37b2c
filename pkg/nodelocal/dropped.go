package nodelocal

import (
	"encoding/binary"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/kube-dns/kube-dns/pkg/internal/netlink"
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
	err = r.reader.exchange(m.finish(), r.buffer, func(m *syscall.NetlinkMessage) (done bool) {
		// The attributes follow a struct nfgenmsg.
		netlink.Attributes(m.Data[min(len(m.Data), 4):], func(typ uint16, value []byte) {
			if typ == unix.NFTA_RULE_EXPRESSIONS {
				netlink.Attributes(value, func(_ uint16, element []byte) { sum += packetsOf(element) })
			}
		})
		return m.Header.Type == unix.NLMSG_DONE
	})
	return sum, err
}

// packetsOf returns the packet count of an nftables expression, or 0 if it is not a counter.
func packetsOf(element []byte) (packets uint64) {
	counter := false
	netlink.Attributes(element, func(typ uint16, value []byte) {
		switch {
		case typ == unix.NFTA_EXPR_NAME:
			counter = string(value) == "counter\x00"
		case typ == unix.NFTA_EXPR_DATA && counter:
			netlink.Attributes(value, func(typ uint16, value []byte) {
				if typ == nftaCounterPackets && len(value) == 8 {
					packets = binary.BigEndian.Uint64(value)
				}
			})
		}
	})
	return packets
}

// dumpBytes is the size of the buffer for dumps. The kernel never puts more into one packet
// of a dump than fits a buffer of this size.
const dumpBytes = 16 << 10

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

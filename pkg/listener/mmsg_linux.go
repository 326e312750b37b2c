package listener

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/kube-dns/kube-dns/pkg/internal/mmsg"
)

// incoming holds the buffers of one recvmmsg on an unconnected socket.
type incoming struct {
	*mmsg.Inbox
	peers    []sockaddr
	controls [][controlBytes]byte
	nameLen  uint32 // octets of a peer address
	ctlLen   int    // octets of a control buffer; 0 if the socket has one local address
}

// newIncoming returns the buffers for batches of count packets of up to size octets.
// pktinfo says whether to receive the local address of each packet.
func newIncoming(count, size int, v6, pktinfo bool) *incoming {
	in := &incoming{
		Inbox:   mmsg.NewInbox(count, size),
		peers:   make([]sockaddr, count),
		nameLen: nameBytes(v6),
	}
	if pktinfo {
		in.controls = make([][controlBytes]byte, count)
		in.ctlLen = controlBytes
	}
	for i := range in.Headers {
		h := &in.Headers[i].Msg
		h.Name = &in.peers[i][0]
		if pktinfo {
			h.Control = &in.controls[i][0]
		}
		in.reset(i)
	}
	return in
}

// reset prepares slot i for the next packet. The kernel has overwritten its lengths.
func (in *incoming) reset(i int) {
	h := &in.Headers[i].Msg
	h.Namelen = in.nameLen
	h.SetControllen(in.ctlLen)
	h.Flags = 0
}

// local returns the local address of slot i as reported by the kernel.
func (in *incoming) local(i int) netip.Addr {
	return localOf(in.controls[i][:min(in.Headers[i].Msg.Controllen, controlBytes)])
}

// outgoing holds the addresses of one sendmmsg on an unconnected socket. The messages
// belong to the caller, who must not change them until Flush.
type outgoing struct {
	*mmsg.Queue
	peers    []sockaddr
	controls []control
}

// newOutgoing returns the memory for batches of count packets on a socket of the given
// address family.
func newOutgoing(count int, v6 bool) *outgoing {
	out := &outgoing{
		Queue:    mmsg.NewQueue(count),
		peers:    make([]sockaddr, count),
		controls: make([]control, count),
	}
	for i := range out.Headers {
		h := &out.Headers[i].Msg
		h.Name = &out.peers[i][0]
		h.Namelen = nameBytes(v6)
		h.Control = &out.controls[i][0]
	}
	return out
}

// addReply queues msg, which must not be empty, for the peer with the address from. If
// local is valid, it is the address to send from. out must not be full.
func (out *outgoing) addReply(msg []byte, from *sockaddr, local netip.Addr) {
	out.peers[out.Len()] = *from
	out.addMessage(msg, local)
}

// addTo is addReply for a peer that is given as an AddrPort and a scope.
func (out *outgoing) addTo(msg []byte, peer netip.AddrPort, scope uint32, local netip.Addr) {
	out.peers[out.Len()].set(peer, scope)
	out.addMessage(msg, local)
}

// addMessage queues msg for the peer that has been stored at the next index.
func (out *outgoing) addMessage(msg []byte, local netip.Addr) {
	ctl := 0
	if local.IsValid() {
		ctl = out.controls[out.Len()].setLocal(local)
	}
	out.Add(msg).Msg.SetControllen(ctl)
}

// nameBytes is the length of a socket address of the family.
func nameBytes(v6 bool) uint32 {
	if v6 {
		return unix.SizeofSockaddrInet6
	}
	return unix.SizeofSockaddrInet4
}

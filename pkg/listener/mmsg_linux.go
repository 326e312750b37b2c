package listener

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/kube-dns/kube-dns/pkg/internal/mmsg"
)

// incoming is the memory of one recvmmsg on an unconnected socket.
type incoming struct {
	*mmsg.Inbox
	peers    []sockaddr
	controls [][controlBytes]byte
	nameLen  uint32 // octets of a peer address
	ctlLen   int    // octets of a control buffer; 0 where the local address is known
}

// newIncoming returns the memory for batches of count packets of up to size
// octets; pktinfo says whether control messages are wanted.
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

// reset makes slot i ready for the next packet: the kernel has overwritten its
// lengths.
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

// outgoing is the memory of one sendmmsg on an unconnected socket. The messages
// themselves belong to the caller and must stay unchanged until Flush.
type outgoing struct {
	*mmsg.Queue
	peers    []sockaddr
	controls []control
}

// newOutgoing returns the memory for batches of count packets on a socket of
// the given family.
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

// add queues msg, which must not be empty, to the peer in from; a valid local
// is the address to send from. out must not be full.
func (out *outgoing) add(msg []byte, from *sockaddr, local netip.Addr) {
	out.peers[out.Len()] = *from
	out.put(msg, local)
}

// addTo is add for a peer that is not in an incoming.
func (out *outgoing) addTo(msg []byte, peer netip.AddrPort, scope uint32, local netip.Addr) {
	out.peers[out.Len()].set(peer, scope)
	out.put(msg, local)
}

func (out *outgoing) put(msg []byte, local netip.Addr) {
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

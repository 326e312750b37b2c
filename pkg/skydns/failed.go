package skydns

import (
	"net/netip"
	"strconv"

	"github.com/kube-dns/kube-dns/pkg/failures"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// isFailure reports whether an answer with this rcode is recorded for operators.
func isFailure(rcode int) bool { return rcode == wire.RcodeServFail || rcode == wire.RcodeRefused }

// noteFailure records a failed answer of this server in Config.Failures.
func (w *worker) noteFailure(r *result) {
	if !w.s.cfg.Failures.Admit() {
		return
	}
	w.s.cfg.Failures.Answer(&failures.Answer{
		Name: nameText(w.q.Name), Type: wire.TypeText(w.q.Type), Rcode: wire.RcodeText(r.rcode),
		Source: r.system.source(), Reason: reasonText(r.ede), Client: clientText(w.to.Peer()),
	})
}

// noteOutside records a failed answer of Outside in Config.Failures. Its client is not known
// here; its reason is known only if the client supports extended errors.
func (s *Server) noteOutside(msg []byte) {
	if !isFailure(wire.Rcode(wire.Flags(msg))) || !s.cfg.Failures.Admit() {
		return
	}
	var reply wire.Reply
	if !wire.ParseReply(msg, &reply) {
		return
	}
	a := failures.Answer{
		Name: nameText(reply.Name), Type: wire.TypeText(reply.Type), Rcode: wire.RcodeText(reply.Rcode),
		Source: systemRecursive.source(), Reason: reasonText(reply.EDNS.ExtendedError()),
	}
	s.cfg.Failures.Answer(&a)
}

// reasonText returns the text of an extended error, or "" if there is none.
func reasonText(ede wire.ExtendedError) string {
	switch {
	case !ede.Present:
		return ""
	case ede.Text != "":
		return ede.Text
	}
	return "extended error " + strconv.Itoa(int(ede.Code))
}

// clientText returns the text of a client's address, or "" if it is not known.
func clientText(peer netip.AddrPort) string {
	if !peer.IsValid() {
		return ""
	}
	return peer.Addr().Unmap().String()
}

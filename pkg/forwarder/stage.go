package forwarder

import (
	"net/netip"

	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Stage is a policy that a forwarder applies around its cache and its servers:
// up to five hooks, nil where the policy has nothing to do. Hooks run in the
// order of Config.Stages, on the packet path and on many goroutines at once:
// they must not block.
//
//	Query ─ cache ─ Hit ─────────────────────────► answer
//	          └ miss ─ Miss ─ servers ─ Reply ───► answer
type Stage struct {
	// Query sees each question before the cache does. It may set q.Options and
	// q.Private. If it returns true it has answered, by Answer, AnswerEmpty or
	// AnswerError.
	Query func(q *Query) (answered bool)
	// Hit may change the cached answer at msg[base:], which has no OPT record.
	// It returns msg and the reason for a change, to be sent as an extended
	// error.
	Hit func(q *Query, msg []byte, base int) ([]byte, wire.ExtendedError)
	// Miss sees each question that the cache does not answer, with what the
	// routing table says of it, and may answer as Query does.
	Miss func(q *Query, d upstream.Decision) (answered bool)
	// Ignore reports whether a server's good reply to a question of class IN is to
	// be ignored. Then the servers are asked on, and if nothing better comes, the
	// question fails. It must not change or keep the reply.
	Ignore func(r *wire.Reply) bool
	// Reply judges a server's reply before it is kept and given out. If it
	// returns true, the stages after it are not asked.
	Reply func(r *Reply) (final bool)
}

// Reply is a server's reply on its way into the cache and to those who wait.
// It is valid only during the call of a hook.
type Reply struct {
	// Question is what the server was asked, in the spelling of the first
	// client. Read only.
	Question *wire.Query
	// Server sent the reply.
	Server netip.AddrPort
	// Msg is given to those who wait. Change it by Replace, Empty or Reject.
	Msg *wire.Reply
	// Keep is what the cache stores, nil for nothing: at first what the server
	// sent.
	Keep *wire.Reply
	// AbsentFor is for how many seconds the cache is to keep that there is no
	// such name, if Keep is nil.
	AbsentFor uint32
	// Reason is sent as an extended error if it is present.
	Reason wire.ExtendedError

	f        *Forwarder
	rejected error // set by Reject
	buf      []byte
	parsed   wire.Reply
}

// begin makes r the reply to question.
func (r *Reply) begin(f *Forwarder, question *wire.Query, res *upstream.Result) {
	r.f, r.Question, r.Server = f, question, res.Server
	r.Msg, r.Keep, r.AbsentFor, r.Reason, r.rejected = res.Reply, res.Reply, 0, wire.ExtendedError{}, nil
}

// judge lets the stages judge r.
func (r *Reply) judge(st *state) {
	for _, hook := range st.reply {
		if r.Msg == nil || hook(r) {
			return
		}
	}
}

// Now returns a time in nanoseconds that only grows.
func (r *Reply) Now() int64 { return r.f.now() }

// HasLiteral reports whether the routing table has an address for a name in
// canonical form.
func (r *Reply) HasLiteral(name []byte) bool { return hasLiteral(r.f, name) }

// Buffer returns empty memory for a message, good until the next reply. Msg may
// lie in it already.
func (r *Reply) Buffer() []byte { return r.buf[:0] }

// Replace makes msg, a well-formed reply in memory from Buffer, the one that is
// given out.
func (r *Reply) Replace(msg []byte) {
	r.buf = msg
	wire.ParseReply(r.buf, &r.parsed)
	r.Msg = &r.parsed
}

// Empty replaces the reply by one of header and question, which is not kept.
// flags may hold an rcode and AA.
func (r *Reply) Empty(flags uint16) {
	bare := *r.Question
	bare.EDNS = wire.EDNS{}
	r.Keep = nil
	r.Replace(wire.AppendHeader(r.Buffer(), &bare, flags|r.Msg.Flags&wire.FlagRA))
}

// Reject makes the reply count as none, for the reason err.
func (r *Reply) Reject(err error) { r.Msg, r.Keep, r.rejected = nil, nil, err }

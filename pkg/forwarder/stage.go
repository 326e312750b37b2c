package forwarder

import (
	"net/netip"

	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Stage is a policy that a forwarder applies around its cache and upstream servers. It consists
// of up to six hooks; those that the policy does not need are nil. Hooks run in the order of
// Config.Stages, on the packet path and on many goroutines at once. They must not block.
//
//	Query ─ cache ─ Hit ─────────────────────────► answer
//	          └ miss ─ Miss ─ servers ─ Reply ───► answer
type Stage struct {
	// Name is the name of the policy in a [Trace].
	Name string
	// Query is called for each question, before the cache is used. It may set q.Options and
	// q.Private. To answer the question, it must call Answer, AnswerEmpty, AnswerTruncated or
	// AnswerError and return true.
	Query func(q *Query) (answered bool)
	// Hit may change the cached answer at msg[base:], which has no OPT record. It returns msg
	// and, if it changed the answer, the reason, which is sent as an extended error.
	Hit func(q *Query, msg []byte, base int) ([]byte, wire.ExtendedError)
	// Miss is called for each question that the cache does not answer, with the decision of the
	// routing table, and may answer it like Query.
	Miss func(q *Query, d upstream.Decision) (answered bool)
	// Ignore reports whether to ignore an upstream server's valid reply to a question of class
	// IN. Other replies are then awaited, and if there is none, the question fails. Ignore must
	// not change or keep the reply.
	Ignore func(r *wire.Reply) bool
	// Reply judges an upstream server's reply before it is stored and relayed. If it returns
	// true, the stages after it are not called.
	Reply func(r *Reply) (final bool)
	// Complete reports whether the records in r, an answer about another name that has passed
	// all stages, may complete the answer about name, a canonical wire name (Config.Complete).
	// If not, name is not completed. A server that sends a hint could otherwise give its own
	// name the records of a name for which the policy makes an exception. now is the time in
	// nanoseconds of a monotonic clock. Complete must not change or keep name and r.
	Complete func(name []byte, r *wire.Reply, now int64) (allowed bool)
}

// Reply is an upstream server's reply that is about to be stored and relayed. It is valid only
// during the call of a hook.
type Reply struct {
	// Question is the question that the server was asked, in the spelling of the first client.
	// Stages must not change it.
	Question *wire.Query
	// Server is the address of the server that sent the reply.
	Server netip.AddrPort
	// Msg is the reply that clients get. Change it with Replace, Empty or Reject.
	Msg *wire.Reply
	// Keep is the reply to store in the cache: at first what the server sent. If it is nil,
	// nothing is stored.
	Keep *wire.Reply
	// AbsentFor is how long the cache stores that the name does not exist, in seconds, if Keep
	// is nil.
	AbsentFor uint32
	// Reason, if present, is sent as an extended error.
	Reason wire.ExtendedError

	f        *Forwarder  // the forwarder that it belongs to
	sent     *wire.Reply // the message that the server sent
	rejected error       // set by Reject
	buf      []byte      // see Buffer
	parsed   wire.Reply  // the message in buf, after Replace
}

// begin resets r to the reply in res to question.
func (r *Reply) begin(f *Forwarder, question *wire.Query, res *upstream.Result) {
	r.f, r.Question, r.Server = f, question, res.Server
	r.sent = res.Reply
	r.Msg, r.Keep, r.AbsentFor, r.Reason, r.rejected = res.Reply, res.Reply, 0, wire.ExtendedError{}, nil
}

// judge calls the Reply hooks of the stages.
func (r *Reply) judge(st *snapshot) {
	for _, hook := range st.reply {
		if r.Msg == nil || hook(r) {
			return
		}
	}
}

// Now returns the time in nanoseconds of a monotonic clock.
func (r *Reply) Now() int64 { return r.f.now() }

// HasLiteral reports whether the routing table has an address for a name in
// canonical form.
func (r *Reply) HasLiteral(name []byte) bool { return hasLiteral(r.f, name) }

// Buffer returns an empty slice for a message, which may be used until the next reply. Msg may
// already use this memory.
func (r *Reply) Buffer() []byte { return r.buf[:0] }

// Replace sets Msg to msg, a valid reply in memory from Buffer.
func (r *Reply) Replace(msg []byte) {
	r.buf = msg
	wire.ParseReply(r.buf, &r.parsed)
	r.Msg = &r.parsed
}

// Empty replaces Msg by a message that has only a header and the question, and sets Keep to nil.
// flags may hold an rcode and AA.
func (r *Reply) Empty(flags uint16) {
	bare := *r.Question
	bare.EDNS = wire.EDNS{}
	r.Keep = nil
	r.Replace(wire.AppendHeader(r.Buffer(), &bare, flags|r.Msg.Flags&wire.FlagRA))
}

// Reject discards the reply; the question then fails with the reason err.
func (r *Reply) Reject(err error) { r.Msg, r.Keep, r.rejected = nil, nil, err }

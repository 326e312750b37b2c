package upstream

import (
	"bytes"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// optionSubnet is the client subnet option (RFC 7871 §6).
const optionSubnet = 8

// addOptions puts the question's options into opt.
func (ex *exchange) addOptions(opt *wire.OPT) {
	if len(ex.options) > 0 {
		opt.Raw = ex.options
	}
}

// agrees reports whether a client subnet in a reply is the one that was sent;
// another one is a sign of forgery (RFC 7871 §7.3). A reply without any is that
// of a server that does not know the option.
func (ex *exchange) agrees(msg []byte) bool {
	if len(ex.options) == 0 {
		return true
	}
	sent, ok := wire.Option(ex.options, optionSubnet)
	var r wire.Reply
	if !ok || !wire.ParseReply(msg, &r) {
		return true
	}
	got, ok := wire.Option(r.EDNS.Options, optionSubnet)
	if !ok {
		return true
	}
	// Octet 3 is the scope, which is 0 in queries.
	return len(got) == len(sent) && bytes.Equal(got[:3], sent[:3]) && bytes.Equal(got[4:], sent[4:])
}

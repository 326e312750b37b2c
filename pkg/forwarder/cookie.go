package forwarder

import "github.com/kube-dns/kube-dns/pkg/wire"

// CookieSecret returns the key of the cookies that f gives, for others that
// answer for the same address.
func (f *Forwarder) CookieSecret() wire.CookieSecret { return f.secret }

// opt is the OPT record of a reply to q that has nothing else to say. The
// cookie, if q has one, is put into b.
func (f *Forwarder) opt(st *state, q *wire.Query, a *asker, b *wire.Cookie) wire.OPT {
	o := wire.OPT{Size: st.cfg.Payload}
	if q.EDNS.ClientCookie != nil && a.resolve == nil {
		o.Cookie = f.secret.Cookie(b, q, a.to.Peer().Addr(), uint32(f.wall()))
	}
	return o
}

// wall is the time in seconds since 1970.
func (f *Forwarder) wall() int64 { return f.base.Unix() + f.now()/1e9 }

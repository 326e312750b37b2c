package forwarder

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// chaosNames are the names below "bind" that class CH answers; dnsmasq's, so
// that its monitoring goes on working.
const (
	chaosVersion    = "\x07version\x04bind\x00"
	chaosAuthors    = "\x07authors\x04bind\x00"
	chaosCopyright  = "\x09copyright\x04bind\x00"
	chaosSize       = "\x09cachesize\x04bind\x00"
	chaosInsertions = "\x0ainsertions\x04bind\x00"
	chaosEvictions  = "\x09evictions\x04bind\x00"
	chaosMisses     = "\x06misses\x04bind\x00"
	chaosHits       = "\x04hits\x04bind\x00"
	chaosAuth       = "\x04auth\x04bind\x00"
	chaosServers    = "\x07servers\x04bind\x00"
)

// answerChaos answers class CH: statistics as TXT, NOTIMP for all else.
func (f *Forwarder) answerChaos(st *state, q *wire.Query, a *asker, reply []byte) []byte {
	var buf [wire.MaxName]byte
	texts := f.chaosTexts(st, string(wire.AppendLower(buf[:0], q.Name)))
	if st.cfg.NoIdent || len(texts) == 0 || q.Type != wire.TypeTXT && q.Type != wire.TypeANY {
		return f.errorReply(st, q, a, reply, wire.RcodeNotImp, wire.ExtendedError{})
	}
	f.countLocal(a)
	var b wire.Builder
	b.Start(reply, q, a.limit(q, st.cfg.Payload))
	b.SetAA(true)
	if !b.TXT(nil, 0, texts...) {
		b.SetTC()
	}
	var cookie wire.Cookie
	out := b.Finish(f.opt(st, q, a, &cookie))
	if st.log != nil {
		f.logLocal(st, q, a, out[len(reply):], "")
	}
	return out
}

// chaosTexts returns the strings of a name in class CH, none for a name that
// it does not have. What counts as a hit and a miss is dnsmasq's: a miss is a
// question for which upstream was asked.
func (f *Forwarder) chaosTexts(st *state, name string) []string {
	if !bytes.HasSuffix([]byte(name), []byte("\x04bind\x00")) {
		return nil
	}
	count := func(n uint64) []string { return []string{strconv.FormatUint(n, 10)} }
	switch name {
	case chaosVersion:
		return []string{"dnscache-" + st.cfg.Version}
	case chaosAuthors, chaosCopyright:
		return []string{"The kube-dns authors"}
	case chaosSize:
		return count(uint64(max(st.cfg.Cache.Entries, 0)))
	case chaosAuth:
		return count(0)
	case chaosServers:
		return f.chaosServers()
	case chaosInsertions, chaosEvictions, chaosMisses, chaosHits:
	default:
		return nil
	}
	s := f.Stats()
	switch name {
	case chaosInsertions:
		return count(s.Cache.Insertions)
	case chaosEvictions:
		return count(s.Cache.Evictions)
	case chaosMisses:
		return count(s.Forwarded)
	}
	return count(s.Hits + s.Coalesced)
}

// chaosServers is one text for each server: address#port, sent, failed.
func (f *Forwarder) chaosServers() []string {
	var texts []string
	for _, s := range f.set.Stats().Servers {
		texts = append(texts, fmt.Sprintf("%s#%d %d %d", s.Addr.Addr(), s.Addr.Port(), s.Sent, s.Failed))
	}
	if len(texts) == 0 {
		return []string{""}
	}
	return texts
}

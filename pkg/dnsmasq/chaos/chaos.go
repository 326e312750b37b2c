// Package chaos answers dnsmasq's names in class CH, with which monitoring systems
// read its version and statistics.
//
// Use [New] and pass the stage to a forwarder. Other names in class CH are answered
// with NOTIMP.
package chaos

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// The names below "bind" that are answered. They are dnsmasq's, so that its monitoring
// continues to work.
const (
	nameVersion    = "\x07version\x04bind\x00"
	nameAuthors    = "\x07authors\x04bind\x00"
	nameCopyright  = "\x09copyright\x04bind\x00"
	nameSize       = "\x09cachesize\x04bind\x00"
	nameInsertions = "\x0ainsertions\x04bind\x00"
	nameEvictions  = "\x09evictions\x04bind\x00"
	nameMisses     = "\x06misses\x04bind\x00"
	nameHits       = "\x04hits\x04bind\x00"
	nameAuth       = "\x04auth\x04bind\x00"
	nameServers    = "\x07servers\x04bind\x00"
)

// New returns the stage. version is the answer to version.bind.
func New(version string) forwarder.Stage {
	return forwarder.Stage{Name: "version and statistics", Query: func(q *forwarder.Query) bool {
		if q.Msg.Class != wire.ClassCH || q.Msg.Type != wire.TypeTXT && q.Msg.Type != wire.TypeANY {
			return false
		}
		texts := texts(q, version)
		if len(texts) == 0 {
			return false
		}
		b := q.Build()
		b.SetAA(true)
		if !b.TXT(nil, 0, texts...) {
			b.SetTC()
		}
		return q.Answer("")
	}}
}

// texts returns the strings of a name in class CH, or none if there is no such name. As
// in dnsmasq, a miss is a question for which a server was asked.
func texts(q *forwarder.Query, version string) []string {
	if !bytes.HasSuffix(q.Name, []byte("\x04bind\x00")) {
		return nil
	}
	count := func(n uint64) []string { return []string{strconv.FormatUint(n, 10)} }
	switch string(q.Name) {
	case nameVersion:
		return []string{version}
	case nameAuthors, nameCopyright:
		return []string{"The kube-dns authors"}
	case nameAuth:
		return count(0)
	case nameSize:
		return count(uint64(q.Stats().CacheSize))
	case nameInsertions:
		return count(q.Stats().Cache.Insertions)
	case nameEvictions:
		return count(q.Stats().Cache.Evictions)
	case nameMisses:
		return count(q.Stats().Forwarded)
	case nameHits:
		s := q.Stats()
		return count(s.Hits + s.Coalesced)
	case nameServers:
		return servers(q.Stats().Upstream.Servers)
	}
	return nil
}

// servers returns one text for each server: address#port, queries sent, queries failed.
func servers(list []upstream.ServerStats) []string {
	var texts []string
	for _, s := range list {
		texts = append(texts, fmt.Sprintf("%s#%d %d %d", s.Addr.Addr(), s.Addr.Port(), s.Sent, s.Failed))
	}
	if len(texts) == 0 {
		return []string{""}
	}
	return texts
}

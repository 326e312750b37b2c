package skydns

import (
	"sync"

	"github.com/kube-dns/kube-dns/pkg/treecache"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// maxLarge bounds how many Services with more records than a message can hold are logged and
// remembered.
const maxLarge = 1000

// largeServices are the Services that have been logged as too large.
type largeServices struct {
	mu    sync.Mutex
	named map[treecache.Path]bool
}

// isNew returns true at its first call for the Service at path, and false afterwards.
func (l *largeServices) isNew(path treecache.Path) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.named[path] || len(l.named) == maxLarge {
		return false
	}
	if l.named == nil {
		l.named = map[treecache.Path]bool{}
	}
	l.named[path] = true
	return true
}

// reportLarge logs, once for each Service, that the Service's records did not fit even over
// TCP, so that its clients see only a part of them.
func (w *worker) reportLarge(a *treecache.Answer) {
	set := a.Owner()
	if set == nil || !w.to.Stream() || !w.s.large.isNew(set.Path()) {
		return
	}
	namespace, name := set.Service()
	w.s.log.Warn("Service has more records than a DNS message can hold; answers are cut to 64 KiB and marked as truncated",
		"namespace", namespace, "service", name, "records", a.Len(), "type", wire.TypeText(w.q.Type))
}

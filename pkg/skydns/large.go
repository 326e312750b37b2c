package skydns

import (
	"sync"

	"github.com/kube-dns/kube-dns/pkg/treecache"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// maxLarge bounds how many Services are named in the log, and remembered, as
// having more records than a message can hold.
const maxLarge = 1000

// largeServices are the Services that were named in the log.
type largeServices struct {
	mu    sync.Mutex
	named map[treecache.Path]bool
}

// isNew reports whether the Service at path is not in the log yet, and from then
// on it is.
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

// reportLarge names the Service in the log, once, whose records did not fit even
// over TCP: its clients see a part of them only.
func (w *worker) reportLarge(a *treecache.Answer) {
	set := a.Owner()
	if set == nil || !w.to.Stream() || !w.s.large.isNew(set.Path()) {
		return
	}
	namespace, name := set.Service()
	w.s.log.Warn("Service has more records than a DNS message can hold; answers are cut to 64 KiB and marked as truncated",
		"namespace", namespace, "service", name, "records", a.Len(), "type", wire.TypeText(w.q.Type))
}

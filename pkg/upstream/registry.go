package upstream

import "sync"

// registry holds the exchanges that have not ended, so that the ticker finds them. It owns
// one reference to each.
type registry struct {
	mu    sync.Mutex
	first *exchange
	_     [64]byte // registries lie side by side and are used by different cores
}

func (r *registry) addExchange(ex *exchange) {
	r.mu.Lock()
	ex.prev, ex.next = nil, r.first
	if r.first != nil {
		r.first.prev = ex
	}
	r.first = ex
	r.mu.Unlock()
}

func (r *registry) remove(ex *exchange) {
	r.mu.Lock()
	if ex.prev != nil {
		ex.prev.next = ex.next
	} else {
		r.first = ex.next
	}
	if ex.next != nil {
		ex.next.prev = ex.prev
	}
	ex.prev, ex.next = nil, nil
	r.mu.Unlock()
}

// dueBefore appends the exchanges that are due at now to dst, and takes a reference to each,
// which the caller must release.
func (r *registry) dueBefore(now int64, dst []*exchange) []*exchange {
	r.mu.Lock()
	for ex := r.first; ex != nil; ex = ex.next {
		if ex.due.Load() <= now {
			ex.refs.Add(1)
			dst = append(dst, ex)
		}
	}
	r.mu.Unlock()
	return dst
}

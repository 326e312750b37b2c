package kubewatch

import (
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kube-dns/kube-dns/pkg/internal/lograte"
)

// problems remembers which invalid parts of which Services are left out, to log each
// once and to count them. It is safe for concurrent use.
type problems struct {
	log  *slog.Logger // does not change
	kind string       // kindService or kindImport; does not change

	mu       sync.Mutex       // protects the fields below
	services map[key][]string // the problems of each Service that has any
	pieces   int              // the sum of the lengths in services

	minute     time.Time // when the minute began in which messages are counted
	messages   int       // logged in this minute
	suppressed uint64    // messages not logged since the last one
}

// maxMessages is how many messages may be logged in a minute. Whoever creates a Service decides
// how often its faults change.
const maxMessages = 100

// The kinds of object that problems reports about.
const (
	kindService = "Service"
	kindImport  = "ServiceImport"
)

func newProblems(log *slog.Logger, kind string) *problems {
	return &problems{log: log, kind: kind, services: map[key][]string{}}
}

// note records which parts of a Service and its slices are left out now, and logs
// them unless they are the same as before.
func (p *problems) note(k key, found []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.services[k]
	if slices.Equal(before, found) {
		return
	}
	p.pieces += len(found) - len(before)
	if len(found) == 0 {
		delete(p.services, k)
		return
	}
	p.services[k] = found
	if now := time.Now(); now.Sub(p.minute) >= time.Minute {
		p.minute, p.messages = now, 0
	}
	if p.messages++; p.messages > maxMessages {
		p.suppressed++
		return
	}
	log := p.log.With(slog.String("namespace", k.namespace), lograte.Suppressed(p.suppressed))
	parts := strings.Join(found, "; ")
	p.suppressed = 0
	if p.kind == kindImport {
		log.Warn("skipping invalid parts of a ServiceImport", "import", k.name, "parts", parts)
		return
	}
	log.Warn("skipping invalid parts of a Service", "service", k.name, "parts", parts)
}

// count returns the number of Services with invalid parts and the number of these
// parts.
func (p *problems) count() (services, pieces int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.services), p.pieces
}

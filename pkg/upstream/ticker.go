package upstream

import (
	"context"
	"log/slog"
	"time"

	"github.com/kube-dns/kube-dns/pkg/internal/lograte"
	"github.com/kube-dns/kube-dns/pkg/upstream/policy"
)

// The periods of the ticker.
const (
	tickEvery = 10 * time.Millisecond
	// idleTicks is the number of ticks without an exchange after which the ticker sleeps.
	idleTicks = 100
	// noticeTicks is the number of ticks between two checks for notices to log.
	noticeTicks = 100
	// tidyEvery is the period of the search for sockets past their age and for servers to
	// probe for loops.
	tidyEvery = 10 * time.Second
)

// runTicker passes the time to exchanges for which something is due. It sleeps while there
// are none.
func (s *Set) runTicker(ctx context.Context) {
	w := s.newWorker()
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	tick.Stop()
	tidy := time.NewTicker(tidyEvery)
	defer tidy.Stop()
	idle, ticks := 0, 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
			idle = 0
			tick.Reset(tickEvery)
		case <-tidy.C:
			s.tidy()
		case <-tick.C:
			w.tick()
			if ticks++; ticks%noticeTicks == 0 {
				s.logNotices()
			}
			if s.inFlight.Load() != 0 {
				idle = 0
			} else if idle++; idle > idleTicks {
				tick.Stop()
				s.ticking.Store(false)
				if s.inFlight.Load() != 0 && s.ticking.CompareAndSwap(false, true) {
					tick.Reset(tickEvery)
				}
			}
		}
	}
}

// tick handles the exchanges that are due.
func (w *worker) tick() {
	s, now := w.set, w.set.now()
	for i := range s.registries {
		w.due = s.registries[i].dueBefore(now, w.due[:0])
		for j, ex := range w.due {
			w.due[j] = nil
			w.tickOne(ex, now)
			ex.release()
		}
	}
	w.Flush()
}

// tickOne handles one exchange that is due, and recovers from a panic of its owner.
func (w *worker) tickOne(ex *exchange, now int64) {
	defer func() {
		if cause := recover(); cause != nil {
			logger := w.set.cfg.Load().Logger
			w.set.panics.Error("recovered from a panic in a question's timer", logger, cause, nil)
		}
	}()
	if end, ended := ex.tick(now, w); ended {
		w.conclude(ex, end)
	}
}

// tidy closes sockets past their age, and starts the probes for loops that are due, also
// while there are no exchanges.
func (s *Set) tidy() {
	now := s.now()
	s.reload.Lock()
	for _, srv := range s.order {
		for _, l := range srv.links {
			l.Retire(now)
		}
	}
	s.reload.Unlock()
	s.logNotices()
	s.probeLoops()
}

// logNotices logs what operators should know about the servers.
func (s *Set) logNotices() {
	now := policy.Time(s.now())
	s.reload.Lock()
	defer s.reload.Unlock()
	for _, srv := range s.order {
		for {
			s.health.Lock()
			n, ok := srv.health.Notice(now)
			s.health.Unlock()
			if !ok {
				break
			}
			s.logNotice(srv, n)
		}
	}
}

func (s *Set) logNotice(srv *server, n policy.Notice) {
	log := s.cfg.Load().Logger.With(slog.String("server", srv.label()), lograte.Suppressed(n.Suppressed))
	switch n.Kind {
	case policy.NoticeDown:
		text := srv.tls.reason()
		if text != "" && srv.spec.TLS.Clear {
			log.Warn("server does not answer", "error", text, "next_try", srv.tls.nextTry().String())
			break
		}
		if text != "" {
			log.Warn("server cannot be asked over TLS; its names are not asked in clear text instead",
				"error", text, "next_try", srv.tls.nextTry().String())
			break
		}
		log.Warn("server does not answer")
	case policy.NoticeUp:
		log.Info("server answers again")
	case policy.NoticeCase:
		log.Info("server changes the case of names; sending them as the client spelled them for now")
	case policy.NoticePlain:
		log.Info("server does not accept EDNS; asking without it for now")
	case policy.NoticeNoStream:
		log.Warn("server truncates answers but does not answer over TCP; large answers stay truncated for now")
	case policy.NoticeLoopOver:
		log.Info("server no longer sends queries back; asking it again")
	}
}

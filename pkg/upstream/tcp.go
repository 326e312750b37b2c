package upstream

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// maxFrame is the largest message over TCP, with its length.
const maxFrame = 2 + wire.MaxMessage

// tcpJob is one exchange over TCP, after a truncated reply. It holds a
// reference to its attempt's exchange.
type tcpJob struct {
	a        *attempt
	deadline int64
	id       uint16
}

// tryTCP asks srv again over TCP. The exchange's lock is held.
func (ex *exchange) tryTCP(srv *server, edns bool, now int64) {
	s := ex.set
	if ex.overTCP || ex.owner == nil {
		return
	}
	ex.overTCP = true
	if int(s.tcpOpen.Add(1)) > s.cfg.Load().TCPExchanges {
		s.tcpOpen.Add(-1)
		s.tcpLimit.Add(1)
		return
	}
	a := &ex.attempts[ex.n]
	*a = attempt{ex: ex, srv: srv, sent: now, edns: edns, open: true}
	ex.refs.Add(1)
	select {
	case s.tcpJobs <- tcpJob{a: a, deadline: ex.deadline, id: srv.pool.randomID()}:
		ex.n++
		ex.open++
		srv.counters.sent.Add(1)
		srv.counters.retried.Add(1)
		s.tcpSum.Add(1)
	default:
		*a = attempt{}
		ex.refs.Add(-1)
		s.tcpOpen.Add(-1)
		s.tcpLimit.Add(1)
	}
}

// randomID draws an id.
func (p *pool) randomID() uint16 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.random == nil {
		p.random = newRandom()
	}
	return uint16(p.random.Uint64())
}

// runTCP starts a goroutine for each job; they are few, and bounded.
func (s *Set) runTCP(ctx context.Context, wg *sync.WaitGroup) {
	for {
		select {
		case <-ctx.Done():
			return
		case job := <-s.tcpJobs:
			wg.Go(func() {
				defer s.tcpOpen.Add(-1)
				s.exchangeTCP(ctx, job)
			})
		}
	}
}

func (s *Set) exchangeTCP(ctx context.Context, job tcpJob) {
	buf := s.tcpBytes.Get().(*[]byte)
	defer s.tcpBytes.Put(buf)
	w := s.workers.Get().(*worker)
	defer s.workers.Put(w)
	ctx, cancel := context.WithDeadline(ctx, s.base.Add(time.Duration(job.deadline)))
	defer cancel()
	msg, err := s.askTCP(ctx, job, *buf)
	a, ex := job.a, job.a.ex
	if err == nil {
		s.answered(a, msg, false, s.now(), w)
	} else if ex.refused(a, s.now(), err.Error()) {
		s.conclude(ex, w)
	}
	ex.release()
	w.flush()
}

// askTCP sends the question and returns the message that answers it.
func (s *Set) askTCP(ctx context.Context, job tcpJob, buf []byte) ([]byte, error) {
	ex, spec := job.a.ex, &job.a.srv.spec
	conn, err := tcpDialer(spec).DialContext(ctx, "tcp", spec.Addr.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	var opt *wire.OPT
	if job.a.edns {
		opt = &wire.OPT{Size: s.cfg.Load().Payload, DO: ex.do}
	}
	query := wire.AppendQuery(buf[:2], job.id, ex.flags, ex.name[:ex.nlen], ex.typ, ex.class, opt)
	binary.BigEndian.PutUint16(query, uint16(len(query)-2))
	if _, err := conn.Write(query); err != nil {
		return nil, err
	}
	for {
		if _, err := io.ReadFull(conn, buf[:2]); err != nil {
			return nil, err
		}
		msg := buf[2 : 2+int(binary.BigEndian.Uint16(buf))]
		if _, err := io.ReadFull(conn, msg); err != nil {
			return nil, err
		}
		if len(msg) >= wire.HeaderLen && wire.Flags(msg)&wire.FlagQR != 0 && wire.ID(msg) == job.id && ex.matches(msg, job.a.edns) {
			return msg, nil
		}
		s.wrong.Add(1)
	}
}

// tcpDialer leaves by the server's source address and interface.
func tcpDialer(spec *Server) *net.Dialer {
	d := &net.Dialer{KeepAlive: -1}
	if source := spec.Source.Addr(); source.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0))
	}
	if spec.Interface != "" {
		d.Control = func(_, _ string, raw syscall.RawConn) error {
			var failed error
			err := raw.Control(func(fd uintptr) {
				failed = os.NewSyscallError("bindtodevice", unix.BindToDevice(int(fd), spec.Interface))
			})
			if err != nil {
				return err
			}
			return failed
		}
	}
	return d
}

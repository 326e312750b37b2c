// Package load sends a fixed number of queries to a DNS server, as fast as it answers,
// and checks every answer. It is a closed loop: each socket keeps a fixed number of
// queries in flight and sends the next one when one is answered, so that a slow server
// is not flooded and a fast one always has work.
package load

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Defaults and bounds of [Config].
const (
	defaultSockets = 4
	defaultWindow  = 16
	maxWindow      = 64
	defaultTimeout = 2 * time.Second
	maxQuery       = 12 + 255 + 4
)

// Config describes one run. Zero values mean the defaults.
type Config struct {
	// Server is asked.
	Server netip.AddrPort
	// TCP asks over TCP, one connection per socket, pipelined.
	TCP bool
	// Questions gives the questions.
	Questions Questions
	// First is the number of the first question, as Questions counts them.
	First int
	// Count is how many questions are asked. It must be positive.
	Count int
	// Sockets is the number of client ports. Default: 4.
	Sockets int
	// Window is how many questions each socket keeps outstanding, at most 64.
	// Default: 16.
	Window int
	// Rate bounds the questions per second of all sockets together. Zero asks as
	// fast as the server answers.
	Rate float64
	// Timeout is how long a socket waits for any answer before it counts what is
	// outstanding as lost. Default: 2 s.
	Timeout time.Duration
	// Rcode is the response code that a right answer has.
	Rcode int
	// NoAnswers accepts answers without records, as an echo gives them.
	NoAnswers bool
	// Check decides what is a right answer to question n, in place of Rcode and
	// NoAnswers. It is called on several goroutines and keeps neither message.
	Check func(n int, query, answer []byte) bool
	// Within, if it is not nil, calls the function that it gets, which opens a socket, where
	// that is to be done: on a thread in another network namespace.
	Within func(open func() error) error
}

// Result says how a run went. Sent = Answered + Lost + Wrong, unless ctx ended
// it early.
type Result struct {
	Sent     int           // questions asked
	Answered int           // right answers
	Lost     int           // questions without an answer in time
	Wrong    int           // answers with another question, rcode or shape
	Took     time.Duration // from the first question to the last answer
}

// errTimeout is what a transport returns when nothing came in time.
var errTimeout = os.ErrDeadlineExceeded

// Run asks until Count questions were asked and settled, or ctx ends.
func Run(ctx context.Context, cfg Config) (Result, error) {
	if err := cfg.fill(); err != nil {
		return Result{}, err
	}
	var next atomic.Int64
	results := make([]Result, cfg.Sockets)
	errs := make([]error, cfg.Sockets)
	began := time.Now()
	var wg sync.WaitGroup
	for i := range cfg.Sockets {
		wg.Go(func() {
			w := &worker{cfg: &cfg, next: &next}
			errs[i] = w.run(ctx)
			results[i] = w.result
		})
	}
	wg.Wait()
	sum := Result{Took: time.Since(began)}
	for _, r := range results {
		sum.Sent += r.Sent
		sum.Answered += r.Answered
		sum.Lost += r.Lost
		sum.Wrong += r.Wrong
	}
	return sum, errors.Join(errs...)
}

func (cfg *Config) fill() error {
	if cfg.Sockets == 0 {
		cfg.Sockets = defaultSockets
	}
	if cfg.Window == 0 {
		cfg.Window = defaultWindow
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.Within == nil {
		cfg.Within = func(open func() error) error { return open() }
	}
	switch {
	case cfg.Questions == nil:
		return errors.New("no questions to ask")
	case cfg.Count <= 0:
		return fmt.Errorf("count %d is not positive", cfg.Count)
	case cfg.Rate < 0:
		return fmt.Errorf("%v questions per second", cfg.Rate)
	case cfg.Sockets < 0 || cfg.Window < 0 || cfg.Window > maxWindow:
		return fmt.Errorf("%d sockets with a window of %d: want at least 1 and a window up to %d", cfg.Sockets, cfg.Window, maxWindow)
	}
	return nil
}

// transport moves messages of one client port.
type transport interface {
	// send sends the queries, which stay as they are until they are answered.
	send(queries [][]byte) error
	// receive waits for at least one answer and calls f with each that is there.
	receive(timeout time.Duration, f func(answer []byte)) error
	close()
}

// slot is one question in the window. The low bits of its ID are the number of the slot, the
// others a generation, so that an answer that arrives after its question was counted as lost
// is not taken for the answer to another one.
type slot struct {
	waiting    bool
	generation uint16
	n          int // of the question
	query      []byte
	space      [maxQuery]byte
}

// worker is one client port.
type worker struct {
	cfg         *Config
	next        *atomic.Int64
	result      Result
	slots       []slot
	outstanding int
	sending     [][]byte

	began, heard time.Time // the start; the last answer or, without any, question
	done         bool      // every question was asked
}

// tick is the least time that a socket that asks at a rate waits before its next questions.
// Sending many at once uses less CPU.
const tick = time.Millisecond

func (w *worker) run(ctx context.Context) error {
	tr, err := w.dial(ctx)
	if err != nil {
		return err
	}
	defer tr.close()
	w.slots = make([]slot, w.cfg.Window)
	w.sending = make([][]byte, 0, w.cfg.Window)
	w.began = time.Now()
	w.heard = w.began
	for {
		if ctx.Err() == nil {
			if err := w.ask(tr); err != nil {
				return err
			}
		}
		if w.outstanding == 0 {
			if w.done || ctx.Err() != nil {
				return nil
			}
			time.Sleep(tick)
			continue
		}
		timeout := w.cfg.Timeout
		if w.cfg.Rate > 0 && !w.done && ctx.Err() == nil {
			timeout = tick
		}
		err := tr.receive(timeout, w.check)
		switch {
		case errors.Is(err, errTimeout):
			if time.Since(w.heard) >= w.cfg.Timeout {
				w.giveUp()
			}
		case err != nil:
			w.giveUp()
			return err
		default:
			w.heard = time.Now()
		}
	}
}

// due returns how many questions the socket may ask now.
func (w *worker) due() int {
	if w.cfg.Rate == 0 {
		return len(w.slots)
	}
	return int(time.Since(w.began).Seconds()*w.cfg.Rate/float64(w.cfg.Sockets)) - w.result.Sent
}

func (w *worker) dial(ctx context.Context) (tr transport, err error) {
	err = w.cfg.Within(func() (err error) {
		if w.cfg.TCP {
			tr, err = dialTCP(ctx, w.cfg.Server)
		} else {
			tr, err = dialUDP(ctx, w.cfg.Server, w.cfg.Window)
		}
		return err
	})
	return tr, err
}

// ask fills the free slots with new questions and sends them.
func (w *worker) ask(tr transport) error {
	w.sending = w.sending[:0]
	due := w.due()
	for i := range w.slots {
		s := &w.slots[i]
		if s.waiting {
			continue
		}
		if len(w.sending) >= due {
			break
		}
		n := int(w.next.Add(1)) - 1
		if n >= w.cfg.Count {
			w.done = true
			break
		}
		s.waiting = true
		s.n = w.cfg.First + n
		s.generation++
		id := s.generation<<6 | uint16(i)
		s.query = appendQuery(s.space[:0], id, w.cfg.Questions, s.n)
		w.sending = append(w.sending, s.query)
	}
	if len(w.sending) == 0 {
		return nil
	}
	if w.outstanding == 0 {
		w.heard = time.Now()
	}
	w.result.Sent += len(w.sending)
	w.outstanding += len(w.sending)
	return tr.send(w.sending)
}

// check settles the question that answer belongs to.
func (w *worker) check(answer []byte) {
	if len(answer) < 12 {
		return
	}
	id := binary.BigEndian.Uint16(answer)
	i := int(id & (maxWindow - 1))
	if i >= len(w.slots) || !w.slots[i].waiting || binary.BigEndian.Uint16(w.slots[i].query) != id {
		return // late, already counted as lost
	}
	s := &w.slots[i]
	s.waiting = false
	w.outstanding--
	ok := false
	if w.cfg.Check != nil {
		ok = w.cfg.Check(s.n, s.query, answer)
	} else {
		ok = right(answer, s.query, w.cfg.Rcode, w.cfg.NoAnswers)
	}
	if ok {
		w.result.Answered++
	} else {
		w.result.Wrong++
	}
}

// right reports whether answer answers query with the rcode.
func right(answer, query []byte, rcode int, noAnswers bool) bool {
	const response, rcodeMask = 0x80, 0x0f
	return len(answer) >= len(query) &&
		answer[2]&response != 0 && int(answer[3]&rcodeMask) == rcode &&
		string(answer[4:6]) == string(query[4:6]) &&
		string(answer[12:len(query)]) == string(query[12:]) &&
		(noAnswers || rcode != 0 || binary.BigEndian.Uint16(answer[6:]) > 0)
}

func (w *worker) giveUp() {
	w.result.Lost += w.outstanding
	w.outstanding = 0
	for i := range w.slots {
		w.slots[i].waiting = false
	}
}

// appendQuery appends question n: recursion desired, one question, no EDNS, as
// the C library's resolver asks.
func appendQuery(dst []byte, id uint16, questions Questions, n int) []byte {
	dst = binary.BigEndian.AppendUint16(dst, id)
	dst = append(dst, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0)
	return questions.Append(dst, n)
}

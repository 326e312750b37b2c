package prober

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

var (
	// ErrTimeout is the error of a run that reached its deadline.
	ErrTimeout = errors.New("timed out")
	// ErrStuck is what Run returns when it was told to end and the check did
	// not come back: the one case in which a goroutine stays behind.
	ErrStuck = errors.New("check did not stop")
)

// stopGrace is how long a check may take to come back after its context ended:
// time to kill processes and collect them, also on a starved machine.
const stopGrace = 2 * time.Second

// Check does one run. What it has to say goes to out, which may be written to
// from several goroutines, never fails, and is bounded. It returns nil when all
// is well, and must return soon after ctx ended.
type Check func(ctx context.Context, out io.Writer) error

// Config says what is run and how often.
type Config struct {
	// Check is the check; it must not be nil.
	Check Check
	// Period is the time from the start of a run to the start of the next.
	// It must be positive.
	Period time.Duration
	// Timeout is the deadline of one run. It must be positive.
	Timeout time.Duration
	// Rules judge the results.
	Rules Rules
	// Observe, when not nil, is called with each result, in order, on the
	// goroutine of Run, before the result is published.
	Observe func(Result)
}

// Prober runs one check and keeps its last result. Its methods are safe for
// concurrent use; Run must be called once.
type Prober struct {
	cfg  Config
	last atomic.Pointer[Result]
}

// New returns a prober that has not started. It fails when the configuration
// breaks one of the rules written at [Config].
func New(cfg Config) (*Prober, error) {
	switch {
	case cfg.Check == nil:
		return nil, errors.New("no check")
	case cfg.Period <= 0:
		return nil, fmt.Errorf("period %v is not positive", cfg.Period)
	case cfg.Timeout <= 0:
		return nil, fmt.Errorf("timeout %v is not positive", cfg.Timeout)
	}
	return &Prober{cfg: cfg}, nil
}

// Last returns the newest result, the zero Result before the first.
func (p *Prober) Last() Result {
	if r := p.last.Load(); r != nil {
		return *r
	}
	return Result{}
}

// Status judges the newest result at now.
func (p *Prober) Status(now time.Time) Status { return p.cfg.Rules.Judge(p.Last(), now) }

// Run runs the check until ctx ends, and then returns nil once the run that was
// going on has ended; its result is not published. It returns [ErrStuck] when
// the check does not come back.
func (p *Prober) Run(ctx context.Context) error {
	first := time.Now()
	for {
		done, result := p.start(ctx)
		if ctx.Err() == nil {
			if p.cfg.Observe != nil {
				p.cfg.Observe(result)
			}
			p.last.Store(&result)
		}
		if err := p.comeBack(ctx, done); err != nil {
			return err
		}
		// The next multiple of the period that is still to come.
		passed := time.Since(first)
		wait := p.cfg.Period - passed%p.cfg.Period
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// start does one run. The channel is closed when the check came back, which is
// before start returns unless the check ignores its context.
func (p *Prober) start(ctx context.Context) (<-chan struct{}, Result) {
	runCtx, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	var (
		out  output
		err  error
		late bool
		done = make(chan struct{})
		res  = Result{Start: time.Now()}
	)
	go func() {
		defer close(done)
		err = guarded(runCtx, p.cfg.Check, &out)
		late = runCtx.Err() != nil
	}()
	select {
	case <-done:
	case <-runCtx.Done():
		waitFor(done, stopGrace)
	}
	select {
	case <-done:
		res.Err = err
		if late {
			res.Err = p.timedOut("")
		}
	default:
		res.Err = p.timedOut(" and is still running")
	}
	res.Output = out.take()
	res.End = time.Now()
	return done, res
}

func (p *Prober) timedOut(more string) error {
	return fmt.Errorf("%w after %v%s", ErrTimeout, p.cfg.Timeout, more)
}

// comeBack waits for a check that outstayed its deadline, for ever while ctx
// lives, for stopGrace once it ended.
func (p *Prober) comeBack(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	waitFor(done, stopGrace)
	select {
	case <-done:
		return nil
	default:
		return ErrStuck
	}
}

// waitFor returns when done is closed or d has passed.
func waitFor(done <-chan struct{}, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}

// guarded runs the check and turns its panic into an error: a check is foreign
// code, and one bad check must not end the others.
func guarded(ctx context.Context, check Check, out io.Writer) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("check panicked: %v", r)
		}
	}()
	return check(ctx, out)
}

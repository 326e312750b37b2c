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
	// ErrStuck is what Run returns if its context ended and the check did not
	// return. Only then does a goroutine stay behind.
	ErrStuck = errors.New("check did not stop")
)

// stopGrace is how long a check may take to return after its context has ended:
// enough to kill processes and to wait for them, even on a busy machine.
const stopGrace = 2 * time.Second

// Check does one run. It writes its output to out, which may be used by several
// goroutines, never fails, and keeps at most [MaxOutput] bytes. It returns nil on
// success, and must return soon after ctx has ended.
type Check func(ctx context.Context, out io.Writer) error

// Config is what a [Prober] runs, and how often.
type Config struct {
	// Check does one run. It must not be nil.
	Check Check
	// Period is the time from the start of a run to the start of the next.
	// It must be positive.
	Period time.Duration
	// Timeout is the deadline of one run. It must be positive.
	Timeout time.Duration
	// Rules decide what a result means for the health URL.
	Rules Rules
	// Observe, if not nil, is called with each result, in order, on Run's
	// goroutine, before Last returns it.
	Observe func(CheckResult)
}

// Prober runs one check and keeps its latest result. Its methods are safe for
// concurrent use; Run must be called only once.
type Prober struct {
	cfg  Config
	last atomic.Pointer[CheckResult]
}

// New returns a prober that has not started.
func New(cfg Config) *Prober { return &Prober{cfg: cfg} }

// Last returns the latest result, or the zero Result before the first run has ended.
func (p *Prober) Last() CheckResult {
	if r := p.last.Load(); r != nil {
		return *r
	}
	return CheckResult{}
}

// Status returns what the health URL answers at now.
func (p *Prober) Status(now time.Time) Status { return p.cfg.Rules.Judge(p.Last(), now) }

// Run runs the check until ctx ends. It then waits for the run that is going on, whose
// result is dropped, and returns nil, or [ErrStuck] if the check does not return.
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
		if !ended(ctx, done) {
			return ErrStuck
		}
		// Wait for the next multiple of the period.
		passed := time.Since(first)
		wait := p.cfg.Period - passed%p.cfg.Period
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// start does one run. The channel is closed when the check returns. That is before
// start returns, unless the check ignores its context.
func (p *Prober) start(ctx context.Context) (<-chan struct{}, CheckResult) {
	runCtx, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	var (
		out  output
		err  error
		late bool
		done = make(chan struct{})
		res  = CheckResult{Start: time.Now()}
	)
	go func() {
		defer close(done)
		err = guarded(runCtx, p.cfg.Check, &out)
		late = runCtx.Err() != nil
	}()
	switch {
	case !ended(runCtx, done):
		res.Err = p.timedOut(" and is still running")
	case late:
		res.Err = p.timedOut("")
	default:
		res.Err = err
	}
	res.Output = out.takeText()
	res.End = time.Now()
	return done, res
}

func (p *Prober) timedOut(more string) error {
	return fmt.Errorf("%w after %v%s", ErrTimeout, p.cfg.Timeout, more)
}

// ended waits for a check until its context has ended, and then for stopGrace. It reports whether
// done was closed.
func ended(ctx context.Context, done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	case <-ctx.Done():
	}
	select {
	case <-done:
		return true
	case <-time.After(stopGrace):
		return false
	}
}

// guarded runs the check and turns a panic into an error, so that one check cannot
// end the others.
func guarded(ctx context.Context, check Check, out io.Writer) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("check panicked: %v", r)
		}
	}()
	return check(ctx, out)
}

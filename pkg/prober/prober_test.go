package prober

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// start runs a prober in the bubble and returns it with the func that ends it
// and hands back what Run returned.
func start(t *testing.T, cfg Config) (*Prober, func() error) {
	t.Helper()
	if cfg.Period == 0 {
		cfg.Period = 2 * time.Second
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	cfg.Rules = Rules{Path: "/h", Latency: 30 * time.Second}
	p := New(cfg)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	return p, func() error {
		cancel()
		return <-ended
	}
}

// TestSequence is the known sequence: success, failure (exit 2), success on
// three periods answer ok, error, ok.
func TestSequence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := 0
		p, stop := start(t, Config{Check: func(_ context.Context, out io.Writer) error {
			runs++
			fmt.Fprintf(out, "run %d", runs)
			if runs == 2 {
				return errors.New("exit status 2")
			}
			return nil
		}})
		var got []string
		for range 3 {
			synctest.Wait()
			s := p.Status(time.Now())
			head, _, _ := strings.Cut(s.Body, ", at")
			got = append(got, fmt.Sprint(s.Code, " ", head))
			time.Sleep(2 * time.Second)
		}
		want := []string{"200 ok", "503 Healthz probe on /h error: Result of last exec: run 2", "200 ok"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("answers (-want +got):\n%s", diff)
		}
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestFirstRunStartsAtOnceAndCountsOnlyWhenItEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, stop := start(t, Config{Check: func(context.Context, io.Writer) error {
			time.Sleep(time.Second)
			return nil
		}})
		began := time.Now()
		time.Sleep(999 * time.Millisecond)
		synctest.Wait()
		if s := p.Status(time.Now()); s.Code != 503 || p.Last().Ended() {
			t.Errorf("while the first run goes on: %+v, want 503", s)
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if s := p.Status(time.Now()); s.Code != 200 {
			t.Errorf("after the first run: %+v, want 200", s)
		}
		if got := p.Last(); !got.Start.Equal(began) || got.End.Sub(got.Start) != time.Second {
			t.Errorf("first run from %v for %v, want from %v for 1s", got.Start, got.End.Sub(got.Start), began)
		}
		_ = stop()
	})
}

// TestStartsStayOnTheGrid: a run that takes longer than the period makes the
// starts within it fall away, and none of them overlap.
func TestStartsStayOnTheGrid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var starts []time.Duration
		var running atomic.Int32
		_, stop := start(t, Config{Check: func(context.Context, io.Writer) error {
			if running.Add(1) > 1 {
				t.Error("two runs at once")
			}
			defer running.Add(-1)
			starts = append(starts, time.Since(began))
			if len(starts) == 2 {
				time.Sleep(4100 * time.Millisecond)
			}
			return nil
		}})
		time.Sleep(11 * time.Second)
		_ = stop()
		want := []time.Duration{0, 2 * time.Second, 8 * time.Second, 10 * time.Second}
		if diff := cmp.Diff(want, starts); diff != "" {
			t.Errorf("starts (-want +got):\n%s", diff)
		}
	})
}

func TestDeadlineFailsWhateverTheCheckReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, stop := start(t, Config{Timeout: 3 * time.Second, Check: func(ctx context.Context, out io.Writer) error {
			fmt.Fprint(out, "waiting")
			<-ctx.Done()
			return nil // as a shell does whose background job was killed
		}})
		time.Sleep(3*time.Second + 1)
		synctest.Wait()
		got := p.Last()
		if !errors.Is(got.Err, ErrTimeout) || got.Err.Error() != "timed out after 3s" || got.Output != "waiting" {
			t.Errorf("result %+v, want ErrTimeout with the output", got)
		}
		_ = stop()
	})
}

// TestStuckCheck: a check that ignores its context is reported failed, is never
// run twice at once, and its late success does not count.
func TestStuckCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		p, stop := start(t, Config{Timeout: 3 * time.Second, Check: func(context.Context, io.Writer) error {
			if runs.Add(1) == 1 {
				time.Sleep(time.Minute)
			}
			return nil
		}})
		time.Sleep(3*time.Second + stopGrace)
		synctest.Wait()
		if got := p.Last(); !errors.Is(got.Err, ErrTimeout) || !strings.HasSuffix(got.Err.Error(), "still running") {
			t.Errorf("result %+v, want a timeout that says it is still running", got)
		}
		time.Sleep(54 * time.Second) // 59 s
		synctest.Wait()
		if n := runs.Load(); n != 1 {
			t.Errorf("%d runs while the first is stuck", n)
		}
		time.Sleep(1500 * time.Millisecond) // it came back, the next start is at 62 s
		synctest.Wait()
		if s := p.Status(time.Now()); s.Code != 503 {
			t.Errorf("after the late success: %+v, want 503", s)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if s := p.Status(time.Now()); s.Code != 200 {
			t.Errorf("after the next run: %+v, want 200", s)
		}
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestStopWhileStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		_, stop := start(t, Config{Check: func(context.Context, io.Writer) error {
			<-release
			return nil
		}})
		time.Sleep(time.Second)
		if err := stop(); !errors.Is(err, ErrStuck) {
			t.Errorf("Run: %v, want ErrStuck", err)
		}
		close(release)
	})
}

// TestStopDuringRun: the run that the end interrupts is no result, and Run
// returns only after the check came back.
func TestStopDuringRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var back atomic.Bool
		observed := 0
		p, stop := start(t, Config{
			Check: func(ctx context.Context, _ io.Writer) error {
				<-ctx.Done()
				time.Sleep(time.Second)
				back.Store(true)
				return errors.New("killed")
			},
			Observe: func(CheckResult) { observed++ },
		})
		time.Sleep(time.Second)
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
		if !back.Load() {
			t.Error("Run returned before the check did")
		}
		if p.Last().Ended() || observed != 0 {
			t.Errorf("result %+v, observed %d times; want none", p.Last(), observed)
		}
	})
}

func TestPanicIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var observed []string
		_, stop := start(t, Config{
			Check:   func(context.Context, io.Writer) error { panic("boom") },
			Observe: func(r CheckResult) { observed = append(observed, r.Err.Error()) },
		})
		time.Sleep(3 * time.Second)
		_ = stop()
		want := []string{"check panicked: boom", "check panicked: boom"}
		if diff := cmp.Diff(want, observed); diff != "" {
			t.Errorf("observed (-want +got):\n%s", diff)
		}
	})
}

func TestProbersDoNotInfluenceEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good, stopGood := start(t, Config{Check: func(context.Context, io.Writer) error { return nil }})
		bad, stopBad := start(t, Config{Check: func(ctx context.Context, _ io.Writer) error {
			<-ctx.Done()
			return ctx.Err()
		}})
		for range 30 {
			time.Sleep(time.Second)
			synctest.Wait()
			if s := good.Status(time.Now()); s.Code != 200 {
				t.Fatalf("the good one: %+v", s)
			}
			if s := bad.Status(time.Now()); s.Code != 503 {
				t.Fatalf("the bad one: %+v", s)
			}
		}
		_ = stopGood()
		_ = stopBad()
	})
}

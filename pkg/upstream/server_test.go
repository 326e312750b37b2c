package upstream

import (
	"log/slog"
	"testing"
	"time"
)

// TestRTO: a server that dies adds less than 200 ms to what a query takes
// usually, and a jittery or slow one is not given up too early.
func TestRTO(t *testing.T) {
	const ms = time.Millisecond
	for _, test := range []struct {
		name    string
		samples []time.Duration
		low     time.Duration
		high    time.Duration
	}{
		{"never seen", nil, 100 * ms, 190 * ms},
		{"in the cluster", []time.Duration{ms, ms, ms, 2 * ms}, 100 * ms, 100 * ms},
		{"steady", []time.Duration{120 * ms, 120 * ms, 120 * ms, 120 * ms, 120 * ms, 120 * ms}, 130 * ms, 310 * ms},
		{"jittery", []time.Duration{10 * ms, 150 * ms, 10 * ms, 150 * ms}, 150 * ms, 240 * ms},
		{"slow at first", []time.Duration{300 * ms}, 400 * ms, 400 * ms},
		{"very slow", []time.Duration{2 * time.Second, 2 * time.Second}, 400 * ms, 400 * ms},
	} {
		s := server{log: slog.New(slog.DiscardHandler)}
		for _, d := range test.samples {
			s.answered(int64(d), false)
		}
		rto := time.Duration(s.rto())
		if rto < test.low || rto > test.high {
			t.Errorf("%s: %v, want %v to %v", test.name, rto, test.low, test.high)
		}
		if added := rto - time.Duration(s.srtt.Load()); added >= 190*ms {
			t.Errorf("%s: a dead server adds %v", test.name, added)
		}
	}
}

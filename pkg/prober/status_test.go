package prober

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestJudge(t *testing.T) {
	at := time.Date(2016, 8, 30, 12, 0, 0, 5e6, time.UTC)
	good := CheckResult{Output: "healthz\n", Start: at, End: at}
	bad := CheckResult{Output: "100%s %d%%\n", Start: at, End: at, Err: errors.New("exit status 2")}
	tests := []struct {
		name   string
		rules  Rules
		result CheckResult
		age    time.Duration
		want   Status
	}{
		{
			name: "nothing ended yet",
			want: Status{503, "Healthz probe on /h error: no run has ended yet\n"},
		},
		{name: "good", result: good, want: Status{200, "ok"}},
		{name: "good at the limit", result: good, age: 30 * time.Second, want: Status{200, "ok"}},
		{
			name: "good with output", rules: Rules{ShowOutput: true}, result: good,
			want: Status{200, "healthz\n"},
		},
		{
			name: "too old", result: good, age: 30*time.Second + 1,
			want: Status{503, "Latest result too old to be useful: Result of last exec: healthz\n, at 2016-08-30 12:00:00.005 +0000 UTC, error None.\n"},
		},
		{
			name: "too old with output", rules: Rules{ShowOutput: true}, result: good, age: time.Hour,
			want: Status{503, "Latest result too old to be useful: Result of last exec: healthz\n, at 2016-08-30 12:00:00.005 +0000 UTC, error None.\n"},
		},
		{
			name: "failed, percent signs are no format", result: bad,
			want: Status{503, "Healthz probe on /h error: Result of last exec: 100%s %d%%\n, at 2016-08-30 12:00:00.005 +0000 UTC, error exit status 2\n"},
		},
		{
			name: "error wins over age", result: bad, age: time.Hour,
			want: Status{503, "Healthz probe on /h error: Result of last exec: 100%s %d%%\n, at 2016-08-30 12:00:00.005 +0000 UTC, error exit status 2\n"},
		},
		{
			name: "other zones are written as UTC",
			result: CheckResult{
				Output: "x", Err: errors.New("exit status 1"),
				End: at.In(time.FixedZone("CET", 3600)),
			},
			want: Status{503, "Healthz probe on /h error: Result of last exec: x, at 2016-08-30 12:00:00.005 +0000 UTC, error exit status 1\n"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.rules.Path, tt.rules.Latency = "/h", 30*time.Second
			got := tt.rules.Judge(tt.result, at.Add(tt.age))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Judge(%+v, +%v) (-want +got):\n%s", tt.result, tt.age, diff)
			}
			if got.Healthy() != (tt.want.Code == 200) {
				t.Errorf("Healthy() = %v with code %d", got.Healthy(), got.Code)
			}
		})
	}
}

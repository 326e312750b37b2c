package collect

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// thermometer is a collector of all kinds of metrics.
type thermometer struct {
	Set
	readings, degrees, seconds Metric
}

func (m *thermometer) Collect(ch chan<- prometheus.Metric) {
	m.readings.Send(ch, 7, "inside", "ok")
	m.degrees.Send(ch, -1.5)
	m.seconds.SendHistogram(ch, []float64{0.5, 1}, []uint64{1, 2, 4}, 9)
}

func TestSet(t *testing.T) {
	m := &thermometer{Set: Set{Prefix: "t_"}}
	m.readings = m.Counter("readings_total", "Readings.", "place", "result")
	m.degrees = m.Gauge("degrees", "Degrees.")
	m.seconds = m.Histogram("seconds", "Seconds.")
	want := `# HELP t_degrees Degrees.
# TYPE t_degrees gauge
t_degrees -1.5
# HELP t_readings_total Readings.
# TYPE t_readings_total counter
t_readings_total{place="inside",result="ok"} 7
# HELP t_seconds Seconds.
# TYPE t_seconds histogram
t_seconds_bucket{le="0.5"} 1
t_seconds_bucket{le="1"} 3
t_seconds_bucket{le="+Inf"} 7
t_seconds_sum 9
t_seconds_count 7
`
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(m)
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

func TestBucket(t *testing.T) {
	bounds := []float64{0.001, 0.5, 1}
	for d, want := range map[time.Duration]int{
		-1: 0, 0: 0, time.Millisecond: 0, time.Millisecond + 1: 1, 500 * time.Millisecond: 1, time.Second: 2, time.Second + 1: 3, time.Hour: 3,
	} {
		if got := Bucket(bounds, d); got != want {
			t.Errorf("%v is in bucket %d, want %d", d, got, want)
		}
	}
	if Flag(true) != 1 || Flag(false) != 0 {
		t.Error("Flag")
	}
}

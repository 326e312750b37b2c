// Package configmetrics exports whether a program accepts the configuration that it
// follows while it runs. Use [New], then call [Metrics.Result] for each new version. All
// programs have the same metrics.
package configmetrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics count the accepted and rejected versions of a configuration. They are safe for
// concurrent use.
type Metrics struct {
	loads *prometheus.CounterVec
	valid prometheus.Gauge
	last  prometheus.Gauge
}

// New registers metrics whose names begin with prefix. It panics if they are there already.
func New(registry prometheus.Registerer, prefix string) *Metrics {
	m := &Metrics{
		loads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "config_loads_total",
			Help: "New versions of the ConfigMap or the configuration directory, by result.",
		}, []string{"result"}),
		valid: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: prefix + "config_valid",
			Help: "0 while the newest configuration is rejected and the previous one is kept, otherwise 1.",
		}),
		last: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: prefix + "config_last_accepted_timestamp_seconds",
			Help: "Time at which a configuration was last accepted, 0 if none was.",
		}),
	}
	m.valid.Set(1)
	m.loads.WithLabelValues("accepted")
	m.loads.WithLabelValues("rejected")
	registry.MustRegister(m.loads, m.valid, m.last)
	return m
}

// Result counts one new version of the configuration. err says why it was rejected; nil means
// that it was accepted.
func (m *Metrics) Result(err error) {
	if err != nil {
		m.loads.WithLabelValues("rejected").Inc()
		m.valid.Set(0)
		return
	}
	m.loads.WithLabelValues("accepted").Inc()
	m.valid.Set(1)
	m.last.Set(float64(time.Now().UnixMilli()) / 1e3)
}

package main

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kube-dns/kube-dns/pkg/prober"
	"github.com/kube-dns/kube-dns/pkg/processmetrics"
)

// metrics counts the runs of each check. The label path is the check's URL.
type metrics struct {
	registry *prometheus.Registry
	runs     *prometheus.CounterVec
	failures *prometheus.CounterVec
	duration *prometheus.HistogramVec
	success  *prometheus.GaugeVec
}

// Reasons why a run failed.
const (
	reasonFailed  = "failed"
	reasonTimeout = "timeout"
)

func newMetrics() *metrics {
	label := []string{"path"}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "exechealthz_check_runs_total",
			Help: "Completed runs of the check.",
		}, label),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "exechealthz_check_failures_total",
			Help: "Failed runs of the check, by reason: its exit status or its deadline.",
		}, []string{"path", "reason"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "exechealthz_check_duration_seconds",
			Help:    "Duration of the runs of the check.",
			Buckets: []float64{.001, .005, .01, .05, .1, .5, 1, 2, 5, 10, 30},
		}, label),
		success: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "exechealthz_check_last_success_timestamp_seconds",
			Help: "Time at which the check last succeeded, in seconds since 1970; 0 if never.",
		}, label),
	}
	m.registry.MustRegister(m.runs, m.failures, m.duration, m.success)
	processmetrics.Register(m.registry)
	return m
}

// addCheck makes the series of one check exist before its first run, and one that
// says at each scrape what its URL would answer.
func (m *metrics) addCheck(path string, p *prober.Prober) {
	m.runs.WithLabelValues(path)
	m.failures.WithLabelValues(path, reasonFailed)
	m.failures.WithLabelValues(path, reasonTimeout)
	m.duration.WithLabelValues(path)
	m.success.WithLabelValues(path)
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "exechealthz_check_healthy",
		Help:        "1 when the check's URL answers 200, otherwise 0.",
		ConstLabels: prometheus.Labels{"path": path},
	}, func() float64 {
		if p.Status(time.Now()).Healthy() {
			return 1
		}
		return 0
	}))
}

// observe counts one run.
func (m *metrics) observe(path string, r prober.CheckResult) {
	m.runs.WithLabelValues(path).Inc()
	m.duration.WithLabelValues(path).Observe(r.End.Sub(r.Start).Seconds())
	switch {
	case r.Err == nil:
		m.success.WithLabelValues(path).Set(float64(r.End.UnixMilli()) / 1e3)
	case errors.Is(r.Err, prober.ErrTimeout):
		m.failures.WithLabelValues(path, reasonTimeout).Inc()
	default:
		m.failures.WithLabelValues(path, reasonFailed).Inc()
	}
}

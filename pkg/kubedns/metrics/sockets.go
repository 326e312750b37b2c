// Package metrics exports the counters of kubedns's parts as Prometheus metrics.
//
// Use the New functions and register what they return. All except [Config] read the counters
// at each scrape.
package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/internal/collect"
	"github.com/kube-dns/kube-dns/pkg/listener"
)

// statMetrics exports the plain counters in an S.
type statMetrics[S any] struct {
	collect.Set
	stats func() S // returns the current counters
	rows  []statMetric[S]
}

// statMetric is one time series.
type statMetric[S any] struct {
	metric collect.Metric
	value  func(*S) uint64
	label  []string
}

// counter adds a counter with one label. values has a function for each value of the label.
func (m *statMetrics[S]) counter(name, help, label string, values map[string]func(*S) uint64) {
	metric := m.Counter(name, help, label)
	for text, value := range values {
		m.rows = append(m.rows, statMetric[S]{metric, value, []string{text}})
	}
}

// gauge adds a gauge without a label.
func (m *statMetrics[S]) gauge(name, help string, value func(*S) uint64) {
	m.rows = append(m.rows, statMetric[S]{m.Gauge(name, help), value, nil})
}

// Collect implements [prometheus.Collector].
func (m *statMetrics[S]) Collect(ch chan<- prometheus.Metric) {
	stats := m.stats()
	for _, row := range m.rows {
		row.metric.Send(ch, float64(row.value(&stats)), row.label...)
	}
}

// NewForward returns the metrics of questions to upstream servers.
func NewForward(stats func() forwarder.Stats) prometheus.Collector {
	m := &statMetrics[forwarder.Stats]{stats: stats}
	type values = map[string]func(*forwarder.Stats) uint64
	m.counter("kubedns_forward_queries_total", "Queries about names outside the cluster domain, by result.", "result", values{
		"forwarded":  func(s *forwarder.Stats) uint64 { return s.Forwarded },
		"coalesced":  func(s *forwarder.Stats) uint64 { return s.Coalesced },
		"over_limit": func(s *forwarder.Stats) uint64 { return s.OverLimit },
		"failed":     func(s *forwarder.Stats) uint64 { return s.Failed },
	})
	m.gauge("kubedns_forward_in_flight", "Queries waiting for upstream servers.", func(s *forwarder.Stats) uint64 { return uint64(max(s.InFlight, 0)) })
	return m
}

// NewSockets returns the metrics of the DNS sockets.
func NewSockets(stats func() listener.Stats) prometheus.Collector {
	m := &statMetrics[listener.Stats]{stats: stats}
	type values = map[string]func(*listener.Stats) uint64
	m.counter("kubedns_socket_queries_total", "Messages received from DNS clients.", "protocol", values{
		"udp": func(s *listener.Stats) uint64 { return s.UDPQueries },
		"tcp": func(s *listener.Stats) uint64 { return s.TCPQueries },
	})
	m.counter("kubedns_socket_replies_total", "Messages sent to DNS clients.", "protocol", values{
		"udp": func(s *listener.Stats) uint64 { return s.UDPReplies },
		"tcp": func(s *listener.Stats) uint64 { return s.TCPReplies },
	})
	m.counter("kubedns_socket_dropped_total", "Messages and connections of DNS clients that were dropped, by reason.", "reason", values{
		"udp_oversize":      func(s *listener.Stats) uint64 { return s.UDPOversize },
		"udp_short":         func(s *listener.Stats) uint64 { return s.UDPShort },
		"udp_send_error":    func(s *listener.Stats) uint64 { return s.UDPSendErrors },
		"udp_receive_error": func(s *listener.Stats) uint64 { return s.UDPReceiveErrors },
		"tcp_refused":       func(s *listener.Stats) uint64 { return s.TCPRefused },
		"tcp_evicted":       func(s *listener.Stats) uint64 { return s.TCPEvicted },
		"tcp_unanswerable":  func(s *listener.Stats) uint64 { return s.TCPDropped },
		"tcp_malformed":     func(s *listener.Stats) uint64 { return s.TCPMalformed },
		"tcp_write_timeout": func(s *listener.Stats) uint64 { return s.TCPWriteTimeouts },
		"tcp_memory":        func(s *listener.Stats) uint64 { return s.TCPShed },
		"tcp_accept_error":  func(s *listener.Stats) uint64 { return s.TCPAcceptErrors },
		"late":              func(s *listener.Stats) uint64 { return s.UDPLate + s.TCPLate },
		"reply_oversize":    func(s *listener.Stats) uint64 { return s.Oversize },
	})
	m.gauge("kubedns_socket_tcp_connections", "TCP connections of DNS clients that are open.", func(s *listener.Stats) uint64 { return s.TCPOpen })
	return m
}

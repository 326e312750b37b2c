package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kube-dns/kube-dns/pkg/listener"
)

// socketMetrics reads the counters of the DNS sockets at each scrape.
type socketMetrics struct {
	stats func() listener.Stats
	rows  []socketMetric
}

type socketMetric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*listener.Stats) uint64
	label []string
}

func newSocketMetrics(stats func() listener.Stats) *socketMetrics {
	m := &socketMetrics{stats: stats}
	add := func(name, help string, kind prometheus.ValueType, labels []string, rows map[string]func(*listener.Stats) uint64) {
		desc := prometheus.NewDesc("kubedns_socket_"+name, help, labels, nil)
		for label, value := range rows {
			row := socketMetric{desc: desc, kind: kind, value: value}
			if len(labels) > 0 {
				row.label = []string{label}
			}
			m.rows = append(m.rows, row)
		}
	}
	type values = map[string]func(*listener.Stats) uint64
	add("queries_total", "Messages taken from DNS clients.", prometheus.CounterValue, []string{"protocol"}, values{
		"udp": func(s *listener.Stats) uint64 { return s.UDPQueries },
		"tcp": func(s *listener.Stats) uint64 { return s.TCPQueries },
	})
	add("replies_total", "Messages sent to DNS clients.", prometheus.CounterValue, []string{"protocol"}, values{
		"udp": func(s *listener.Stats) uint64 { return s.UDPReplies },
		"tcp": func(s *listener.Stats) uint64 { return s.TCPReplies },
	})
	add("dropped_total", "Messages and connections of DNS clients that were dropped, by reason.", prometheus.CounterValue, []string{"reason"}, values{
		"udp_oversize":      func(s *listener.Stats) uint64 { return s.UDPOversize },
		"udp_short":         func(s *listener.Stats) uint64 { return s.UDPShort },
		"udp_send_error":    func(s *listener.Stats) uint64 { return s.UDPSendErrors },
		"udp_receive_error": func(s *listener.Stats) uint64 { return s.UDPReceiveErrors },
		"tcp_refused":       func(s *listener.Stats) uint64 { return s.TCPRefused },
		"tcp_evicted":       func(s *listener.Stats) uint64 { return s.TCPEvicted },
		"tcp_malformed":     func(s *listener.Stats) uint64 { return s.TCPMalformed },
		"tcp_write_timeout": func(s *listener.Stats) uint64 { return s.TCPWriteTimeouts },
		"tcp_accept_error":  func(s *listener.Stats) uint64 { return s.TCPAcceptErrors },
		"late":              func(s *listener.Stats) uint64 { return s.UDPLate + s.TCPLate },
		"reply_oversize":    func(s *listener.Stats) uint64 { return s.Oversize },
	})
	add("tcp_connections", "TCP connections of DNS clients that are open.", prometheus.GaugeValue, nil, values{
		"": func(s *listener.Stats) uint64 { return s.TCPOpen },
	})
	return m
}

// Describe implements prometheus.Collector.
func (m *socketMetrics) Describe(ch chan<- *prometheus.Desc) {
	prometheus.DescribeByCollect(m, ch)
}

// Collect implements prometheus.Collector.
func (m *socketMetrics) Collect(ch chan<- prometheus.Metric) {
	stats := m.stats()
	for _, row := range m.rows {
		ch <- prometheus.MustNewConstMetric(row.desc, row.kind, float64(row.value(&stats)), row.label...)
	}
}

var _ prometheus.Collector = (*socketMetrics)(nil)

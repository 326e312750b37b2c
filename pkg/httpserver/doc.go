// Package httpserver serves the HTTP ports of this module's programs (probes, metrics, debug
// pages) with limits, so that no client can exhaust the process's memory or prevent a probe
// from being answered.
//
// Use [Serve] with a listener and a handler, and [Metrics] as the handler for /metrics.
//
// An accepted connection is either served or parked. At most [Config.MaxConns] connections are
// served, and one client address has at most three quarters of them. Others are parked: they
// take a file descriptor but no goroutine or buffer, and are served in the order of arrival as
// soon as possible. While connections are parked, served ones are closed to make room: those
// between two requests at once, those that have not sent a complete request header after a
// moment, and those whose client receives the response slowly after a little longer; in each
// group the oldest first. A flood of connections thus delays a probe by a fraction of a second,
// whatever they do.
//
// Request bodies are refused (413), and the size of request headers is limited.
package httpserver

// Package httpserver serves the small HTTP ports of this module's programs
// (probes, metrics, debug pages) within bounds, so that no client can take the
// process's memory or keep a probe from being answered.
//
// Use [Serve] with a listener and a handler, and [Metrics] as the handler for
// /metrics.
//
// A connection that has been accepted is either served or parked. At most
// [Config.MaxConns] connections are served, and one client address has at most
// three quarters of them. Others are parked: they cost a file descriptor but
// neither a goroutine nor a buffer, and are served first come, first served,
// as soon as there is room. While some are parked, served connections give way:
// those between two requests at once, those that have not sent a whole request
// header after a moment, and those that are slow to take their response after a
// little longer; in each group the oldest first. So a flood delays a probe by a
// part of a second, whatever its connections do.
//
// Request bodies are refused (413), and request headers are bounded.
package httpserver

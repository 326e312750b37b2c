package dnsconfig

import (
	"io/fs"
	"time"
)

// DefaultPeriod is how often a directory is read when nothing else is said.
const DefaultPeriod = 10 * time.Second

// Log takes messages with keys and values. *slog.Logger is one.
type Log interface {
	Info(msg string, args ...any)
	Error(msg string, args ...any)
}

// Poller hands on each new good content of a directory. Whoever owns it calls
// Load every now and then. It is not safe for concurrent use.
type Poller struct {
	// FS is the directory.
	FS fs.FS
	// Apply is given each accepted configuration, during Load.
	Apply func(Config)
	// Result, unless nil, is called for each new content, and for each new reason
	// why there is none: with nil when it was accepted, else with the fault.
	Result func(error)
	// Logger must not be nil. Each fault is told once.
	Logger Log

	tracker   Tracker
	readError string
}

// Load reads the directory once. An unreadable directory or bad content is
// logged, and the configuration stays as it was: the default one at the start.
func (p *Poller) Load() {
	version, data, err := ReadDir(p.FS)
	if err != nil {
		if p.readError != err.Error() {
			p.readError = err.Error()
			p.result(err)
			p.Logger.Error("configuration unreadable, keeping the last good one", "error", err)
		}
		return
	}
	p.readError = ""
	changed, err := p.tracker.Offer(version, data)
	if err != nil {
		p.result(err)
		p.Logger.Error("configuration rejected, keeping the last good one", "version", version, "error", err)
		return
	}
	if changed {
		c := p.tracker.Current()
		p.Logger.Info("configuration accepted", "version", version, "federations", len(c.Federations),
			"stub_domains", len(c.StubDomains), "upstream_nameservers", len(c.UpstreamNameservers))
		p.Apply(c)
		p.result(nil)
	}
}

func (p *Poller) result(err error) {
	if p.Result != nil {
		p.Result(err)
	}
}

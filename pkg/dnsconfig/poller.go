package dnsconfig

import (
	"context"
	"io/fs"
	"log/slog"
	"time"
)

// DefaultPeriod is how often a directory is read when nothing else is said.
const DefaultPeriod = 10 * time.Second

// Poller reads a directory over and over, and hands on each new good content.
type Poller struct {
	// FS is the directory.
	FS fs.FS
	// Period is the time between two readings; 0 means DefaultPeriod.
	Period time.Duration
	// Apply is given each accepted configuration. It runs on the goroutine that
	// called Load or Run.
	Apply func(Config)
	// Logger must not be nil.
	Logger *slog.Logger

	tracker   Tracker
	readError string
}

// Load reads the directory once. An unreadable directory or bad content is
// logged, and the configuration stays as it was: the default one at the start.
// Do not call it while Run runs.
func (p *Poller) Load() {
	version, data, err := ReadDir(p.FS)
	if err != nil {
		if p.readError != err.Error() {
			p.readError = err.Error()
			p.Logger.Error("configuration unreadable, keeping the last good one", "error", err)
		}
		return
	}
	p.readError = ""
	changed, err := p.tracker.Offer(version, data)
	if err != nil {
		p.Logger.Error("configuration rejected, keeping the last good one", "version", version, "error", err)
		return
	}
	if changed {
		c := p.tracker.Current()
		p.Logger.Info("configuration accepted", "version", version, "federations", len(c.Federations),
			"stub_domains", len(c.StubDomains), "upstream_nameservers", len(c.UpstreamNameservers))
		p.Apply(c)
	}
}

// Run calls Load at once and then every period, until ctx ends. It returns nil.
func (p *Poller) Run(ctx context.Context) error {
	period := p.Period
	if period <= 0 {
		period = DefaultPeriod
	}
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for {
		p.Load()
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

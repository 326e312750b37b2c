package dnsconfig

import (
	"io/fs"
	"time"
)

// DefaultPeriod is how often a directory is read when nothing else is said.
const DefaultPeriod = 10 * time.Second

// Log takes messages with keys and values. *slog.Logger implements it.
type Log interface {
	Info(msg string, args ...any)
	Warn(msg string, args ...any)
	Error(msg string, args ...any)
}

// Poller reads a directory and passes each new valid configuration to Apply.
// Its owner calls Load periodically. It is not safe for concurrent use.
type Poller struct {
	// FS is the directory, and Dir its path for messages.
	FS  fs.FS
	Dir string
	// Apply is given each accepted configuration, during Load.
	Apply func(Config)
	// Result, unless nil, is called for each new content, and for each new reason
	// why there is none: with nil when it was accepted, else with the fault.
	Result func(error)
	// Logger must not be nil. Each fault is logged once.
	Logger Log

	tracker   Tracker
	readError string
}

// Load reads the directory once. An unreadable directory or invalid content is
// logged, and the configuration stays as it was; until one has been accepted,
// that is the zero [Config].
func (p *Poller) Load() {
	version, data, err := ReadDir(p.FS)
	if err != nil {
		if p.readError != err.Error() {
			p.readError = err.Error()
			p.result(err)
			p.Logger.Error("cannot read the configuration; "+p.tracker.Fallback(), "directory", p.Dir, "error", err)
		}
		return
	}
	p.readError = ""
	changed, err := p.tracker.Offer(version, data)
	for _, warning := range p.tracker.NewWarnings() {
		p.Logger.Warn("configuration: "+warning, "directory", p.Dir)
	}
	if err != nil {
		p.result(err)
		p.Logger.Error("configuration rejected; "+p.tracker.Fallback(), "directory", p.Dir, "version", version, "error", err)
		return
	}
	if changed {
		c := p.tracker.Current()
		p.Logger.Info("configuration accepted", "directory", p.Dir, "version", version, "federations", len(c.Federations),
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

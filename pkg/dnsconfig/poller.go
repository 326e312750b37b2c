package dnsconfig

import (
	"io/fs"
	"time"
)

// DefaultPeriod is how often the programs read the directory by default.
const DefaultPeriod = 10 * time.Second

// Log receives messages with keys and values. *slog.Logger implements it.
type Log interface {
	Info(msg string, args ...any)
	Warn(msg string, args ...any)
	Error(msg string, args ...any)
}

// Poller passes each new valid configuration to Apply. For a directory, the caller must call
// Load periodically; for another source, Offer with each new content. It is not safe for
// concurrent use.
type Poller struct {
	// FS is the directory that Load reads.
	FS fs.FS
	// Apply is called with each accepted configuration.
	Apply func(Config)
	// Result, if not nil, is called for each new content with the error, or
	// with nil if it was accepted, and once for each reason why the directory cannot
	// be read. When it can be read again, the outcome of its content follows once more.
	Result func(error)
	// Logger must not be nil, and should have an attribute with the source. Each fault is
	// logged once.
	Logger Log

	tracker   Tracker // the configuration in effect
	readError string  // why the directory cannot be read; "" if it can
	rejected  error   // of the newest content that could be read
}

// Load reads the directory once. If it cannot be read or its content is invalid,
// Load logs that, and the configuration remains as it was; until one has been
// accepted, that is the zero [Config]. The first configuration that is rejected for
// servers over TLS is passed to Apply as one with Withheld.
func (p *Poller) Load() {
	version, data, err := ReadDir(p.FS)
	withheld := p.tracker.Current().Withheld
	if err != nil {
		p.tracker.Reject(data)
		if p.readError != err.Error() {
			p.readError = err.Error()
			p.result(err)
			p.Logger.Error("cannot read the configuration; "+p.tracker.Fallback(), "error", err)
		}
		p.withhold(withheld)
		return
	}
	p.Offer(version, data)
}

// Offer is Load for content from elsewhere.
func (p *Poller) Offer(version string, data map[string]string) {
	withheld := p.tracker.Current().Withheld
	again := p.readError != ""
	p.readError = ""
	changed, err := p.tracker.Offer(version, data)
	for _, warning := range p.tracker.NewWarnings() {
		p.Logger.Warn("configuration: " + warning)
	}
	if err != nil {
		p.rejected = err
		p.result(err)
		p.Logger.Error("configuration rejected; "+p.tracker.Fallback(), "version", version, "error", err)
		p.withhold(withheld)
		return
	}
	switch {
	case changed:
		p.rejected = nil
		c := p.tracker.Current()
		p.Logger.Info("configuration accepted", "version", version, "federations", len(c.Federations),
			"stub_domains", len(c.StubDomains), "upstream_nameservers", len(c.UpstreamNameservers))
		p.Apply(c)
		p.result(nil)
	case again: // the content is as it was
		p.Logger.Info("the configuration can be read again")
		p.result(p.rejected)
	}
}

// withhold applies a configuration that has been withheld, unless it was before.
func (p *Poller) withhold(before bool) {
	if c := p.tracker.Current(); c.Withheld && !before {
		p.Apply(c)
	}
}

func (p *Poller) result(err error) {
	if p.Result != nil {
		p.Result(err)
	}
}

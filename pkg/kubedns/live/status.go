package live

import (
	"maps"
	"time"

	"github.com/kube-dns/kube-dns/pkg/dnsconfig"
	"github.com/kube-dns/kube-dns/pkg/kubewatch"
)

// Status is the state of the live configuration.
type Status struct {
	// Source tells people where the configuration comes from.
	Source string
	// Applied reports whether a configuration is in effect; it may be that of the flags alone.
	Applied bool
	// Accepted is the time at which a configuration from Source was last accepted; zero if none
	// was.
	Accepted time.Time
	// Rejected is the error of the newest content, if that was rejected and the previous
	// configuration stays in effect; otherwise "".
	Rejected string
	// Federations are the federations in effect.
	Federations map[string]string
	// Watch is the state of the watch of the ConfigMap; nil if there is none.
	Watch *kubewatch.ResourceStatus
}

// Status returns the current state. The caller owns it.
func (l *Live) Status() Status {
	applied := l.Applied()
	l.stateMu.Lock()
	s := l.state
	s.Federations = maps.Clone(s.Federations)
	l.stateMu.Unlock()
	s.Applied = applied
	if l.watcher != nil {
		watch := l.watcher.Status()
		s.Watch = &watch
	}
	return s
}

// result records whether new content was accepted. err is the reason why it was rejected, or
// nil.
func (l *Live) result(err error) {
	l.metrics.Result(err)
	l.stateMu.Lock()
	defer l.stateMu.Unlock()
	if err != nil {
		l.state.Rejected = err.Error()
		return
	}
	l.state.Rejected, l.state.Accepted = "", time.Now()
}

// federations returns the federations that a configuration puts into effect.
func (l *Live) federations(config *dnsconfig.Config) map[string]string {
	federations := config.Federations
	if len(federations) == 0 {
		federations = l.cfg.Options.Federations
	}
	l.stateMu.Lock()
	defer l.stateMu.Unlock()
	l.state.Federations = maps.Clone(federations)
	return federations
}

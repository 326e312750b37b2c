package live

import (
	"maps"
	"time"

	"github.com/kube-dns/kube-dns/pkg/dnsconfig"
	"github.com/kube-dns/kube-dns/pkg/kubewatch"
)

// Status says what became of the live configuration.
type Status struct {
	// Source says where the configuration comes from, for people.
	Source string
	// Applied says whether a configuration is in effect, be it that of the flags.
	Applied bool
	// Accepted is when a configuration of the source was last accepted; zero if none was.
	Accepted time.Time
	// Rejected is the error of the newest content, while that is rejected and the previous
	// configuration stays; "" otherwise.
	Rejected string
	// Federations are those in effect.
	Federations map[string]string
	// Watch is how the watch of the ConfigMap goes; nil without one.
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

// result records what became of a new content: err says why it was rejected, nil that it
// was accepted.
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

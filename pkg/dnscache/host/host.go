// Package host knows what dnscache's options need to know of the host: its name, its network
// interfaces, and the hardware addresses of its neighbours.
//
// Use [Open], run [Host.Run], and call [Host.Refresh] whenever [Host.Changed] says so.
package host

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"strings"

	"github.com/kube-dns/kube-dns/pkg/dnscache/config"
	"github.com/kube-dns/kube-dns/pkg/dnscache/linelog"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/neighbour"
	"github.com/kube-dns/kube-dns/pkg/netif"
)

// Host is what is known. It must not be used from two goroutines at once, but for Run.
type Host struct {
	config.Surroundings

	watch  *netif.Watch     // nil when interfaces are only looked at from time to time
	macs   *neighbour.Table // nil without --add-mac
	logger *slog.Logger
}

// Open learns what the options need to know.
func Open(o *options.Options, log *linelog.Log, logger *slog.Logger) (*Host, error) {
	h := &Host{Surroundings: config.Surroundings{Host: name()}, logger: logger}
	if c := &o.Upstream.Client; c.MAC || c.MACBase64 || c.MACText {
		var err error
		if h.macs, err = neighbour.New(); err != nil {
			return nil, fmt.Errorf("--add-mac: %w", err)
		}
		h.MAC = h.macs.Lookup
	}
	if !config.Follows(o) {
		return h, nil
	}
	// The watch first, so that no change falls between.
	var err error
	if h.watch, err = netif.NewWatch(); err != nil {
		log.Printf("warning: cannot watch the network interfaces, looking at them once a second instead: %v", err)
	}
	h.Refresh()
	return h, nil
}

// name is the name of this host, the root when it has none that is a name.
func name() dnsname.Name {
	text, err := os.Hostname()
	if err != nil {
		return dnsname.Root
	}
	name, err := dnsname.Parse(strings.ToLower(text))
	if err != nil {
		return dnsname.Root
	}
	return name
}

// Refresh takes the interfaces that are there now and reports whether they differ from those
// before.
func (h *Host) Refresh() (changed bool) {
	list, err := netif.All()
	if err != nil {
		h.logger.Warn("cannot list the network interfaces; keeping the previous list", "error", err)
		return false
	}
	changed = !reflect.DeepEqual(h.Interfaces, list)
	h.Interfaces = list
	return changed
}

// Watched reports whether the host tells of changes of its interfaces.
func (h *Host) Watched() bool { return h.watch != nil }

// Changed receives when interfaces may have changed; nil when nothing watches them.
func (h *Host) Changed() <-chan struct{} {
	if h.watch == nil {
		return nil
	}
	return h.watch.Changed()
}

// Run watches the interfaces until ctx ends.
func (h *Host) Run(ctx context.Context) error {
	if h.watch != nil {
		h.watch.Run(ctx)
	}
	return nil
}

// Close gives back what Open took.
func (h *Host) Close() {
	if h.macs != nil {
		h.macs.Close()
	}
}

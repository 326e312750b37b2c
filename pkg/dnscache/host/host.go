// Package host provides what dnscache's options need to know about the host: its name, its
// network interfaces, and the hardware addresses of its neighbours.
//
// Use [Open], let [Host.Run] run, and call [Host.Refresh] each time that the channel of
// [Host.Changed] delivers.
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

// Host is the state of the host. Its methods must not be called from two goroutines at once,
// except Run, which may run beside the others.
type Host struct {
	config.Surroundings

	watch  *netif.Watch     // nil if the kernel does not report changes of interfaces
	macs   *neighbour.Table // nil without --add-mac
	logger *slog.Logger
}

// Open reads the state of the host, as far as the options need it. The caller must call Close.
// Without permission to watch the interfaces, it logs a warning, and the caller must call
// Refresh from time to time.
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
	// Begin to watch before reading the interfaces, so that no change is missed.
	var err error
	if h.watch, err = netif.NewWatch(); err != nil {
		log.Printf("warning: cannot watch the network interfaces, looking at them once a second instead: %v", err)
	}
	h.Refresh()
	return h, nil
}

// name returns the name of this host, or the root if that is not a valid domain name.
func name() dnsname.Name {
	text, _ := os.Hostname() // "" after an error
	name, err := dnsname.Parse(strings.ToLower(text))
	if err != nil {
		return dnsname.Root
	}
	return name
}

// Refresh reads the network interfaces again and reports whether they have changed. If that
// fails, it logs the error and keeps the previous list.
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

// Watched reports whether the channel of Changed delivers changes.
func (h *Host) Watched() bool { return h.watch != nil }

// Changed returns a channel that delivers when interfaces may have changed. It is nil if they
// are not watched.
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

// Close releases what Open opened.
func (h *Host) Close() {
	if h.macs != nil {
		h.macs.Close()
	}
}

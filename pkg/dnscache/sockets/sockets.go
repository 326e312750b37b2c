// Package sockets opens the DNS sockets that dnsmasq's options ask for, and keeps them up to
// date while addresses and interfaces come and go.
//
// Use [Open] before privileges are dropped. Call [Sockets.Rebind] after each change of the
// interfaces and, while [Sockets.Waiting] returns true, once a second.
package sockets

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/kube-dns/kube-dns/pkg/dnscache/linelog"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/listenaddr"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/localservice"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/netif"
)

// Config configures [Sockets].
type Config struct {
	// Options are dnsmasq's options about listening.
	Options *options.Listen
	// Addrs are the addresses to listen on. If empty, Options names them.
	Addrs []netip.AddrPort
	// Interfaces are the host's network interfaces. Needed only if Options depend on them.
	Interfaces netif.List
	// Share lets another process listen on the same addresses (--share-port).
	Share bool
	// Inherited are the sockets of a previous process ([listener.Config.Inherited]).
	Inherited map[netip.AddrPort][]*os.File
	// HandOver is called once when the first addresses have been bound, with a function that
	// returns duplicates of the sockets. Its error is one of the configuration. It may be nil.
	HandOver func(func() (map[netip.AddrPort][]*os.File, error)) error
	// Handler answers the queries.
	Handler listener.Splitter
	Log     *linelog.Log // receives what dnsmasq would log
	Logger  *slog.Logger // receives the rest
}

// Sockets are the open sockets. The methods declared here must not be called from two
// goroutines at once.
type Sockets struct {
	*listener.Server

	cfg       Config
	localOnly *localservice.Filter // nil without --local-service
	fixed     []netip.AddrPort     // the addresses to listen on if they never change
	tries     int                  // number of consecutive attempts in which an address could not be bound
}

// Open binds the DNS addresses. The caller must call Close. Errors are [options.Fault] values
// with dnsmasq's exit code.
func Open(cfg Config) (*Sockets, error) {
	s, l := &Sockets{cfg: cfg}, cfg.Options
	answer := cfg.Handler
	if l.LocalService && len(l.Addresses)+len(l.Interfaces)+len(l.ExceptInterfaces) == 0 {
		s.localOnly = localservice.New(answer, l.LocalHostOnly, cfg.Logger)
		s.localOnly.Refresh(netif.All)
		answer = s.localOnly
	}
	var err error
	s.Server, err = listener.Listen(listener.Config{
		Addrs:   cfg.Addrs,
		Dynamic: true,
		Share:   cfg.Share, Inherited: cfg.Inherited,
		Handler:  answer,
		OnPanic:  forwarder.OnPanic,
		Logger:   cfg.Logger,
		MaxConns: l.TCPConnections(),
	})
	if err != nil {
		return nil, listenFault(err, cfg.Addrs)
	}
	if len(cfg.Addrs) > 0 {
		s.fixed = s.Addrs()
	} else if err := s.bindFirst(); err != nil {
		s.Close()
		return nil, err
	}
	if cfg.HandOver == nil {
		return s, nil
	}
	if err := cfg.HandOver(s.Files); err != nil {
		s.Close()
		return nil, options.Faultf(options.ExitConfig, "%v", err)
	}
	return s, nil
}

// Waiting reports whether an address could not be bound yet.
func (s *Sockets) Waiting() bool { return s.tries > 0 }

// BindsLater reports whether addresses may have to be bound after the start, when privileges
// have been dropped.
func (s *Sockets) BindsLater() bool { return s.Waiting() || listenaddr.BindsLater(s.cfg.Options) }

// RefreshLocal reads the networks of --local-service again.
func (s *Sockets) RefreshLocal() {
	if s.localOnly != nil {
		s.localOnly.Refresh(netif.All)
	}
}

// NotLocal returns the number of queries that --local-service dropped.
func (s *Sockets) NotLocal() uint64 {
	if s.localOnly == nil {
		return 0
	}
	return s.localOnly.Dropped()
}

// bindFirst binds the addresses at the start. If the options follow changes, an address that
// does not exist yet is bound later. An IPv6 address of an interface is bound later if
// duplicate address detection has not ended (RFC 4862 §5.4).
func (s *Sockets) bindFirst() error {
	l := s.cfg.Options
	list, err := netif.All()
	if err != nil {
		return options.Faultf(options.ExitNetwork, "failed to find list of interfaces: %v", err)
	}
	follows := listenaddr.Follows(l)
	if follows {
		for _, name := range listenaddr.Missing(l, list) {
			s.cfg.Log.Printf("warning: interface %s does not currently exist", name)
		}
	} else {
		addrs, err := listenaddr.Fixed(l, list)
		if err != nil {
			return options.Faultf(options.ExitNetwork, "%v", err)
		}
		for _, addr := range addrs {
			s.fixed = append(s.fixed, netip.AddrPortFrom(addr, l.Port))
		}
	}
	wanted := s.wantedAddrs(s.cfg.Interfaces)
	_, _, bindErr := s.Update(wanted)
	if bindErr == nil {
		return nil
	}
	s.tries = 1
	if !onlyUnavailable(bindErr) {
		return listenFault(bindErr, wanted)
	}
	bound := s.Addrs()
	for _, addr := range wanted {
		switch tentative := addr.Addr().Is6() && list.NameOf(addr.Addr()) != ""; {
		case slices.Contains(bound, addr) || tentative:
		case !follows:
			return listenFault(bindErr, wanted)
		default:
			s.cfg.Log.Printf("warning: address %s is not available yet; waiting for it", addr.Addr())
		}
	}
	return nil
}

// wantedAddrs returns the addresses to listen on if list are the interfaces.
func (s *Sockets) wantedAddrs(list netif.List) []netip.AddrPort {
	if len(s.cfg.Addrs) > 0 || !listenaddr.Follows(s.cfg.Options) {
		return s.fixed
	}
	return listenaddr.Now(s.cfg.Options, list)
}

// onlyUnavailable reports whether err, or each of the errors that it joins, means that an
// address or interface does not exist.
func onlyUnavailable(err error) bool {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return !slices.ContainsFunc(joined.Unwrap(), func(e error) bool { return !onlyUnavailable(e) })
	}
	return errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.ENODEV)
}

// quietTries is the number of attempts to bind an address, one a second, after which the
// failure is logged.
const quietTries = 5

// Rebind changes the sockets to the addresses to listen on if list are the interfaces, and logs
// the changes.
func (s *Sockets) Rebind(list netif.List) {
	added, removed, err := s.Update(s.wantedAddrs(list))
	for _, addr := range added {
		where := cmp.Or(list.NameOf(addr.Addr()), "no interface")
		s.cfg.Log.Printf("listening on %s: %s port %d", where, addr.Addr(), addr.Port())
	}
	for _, addr := range removed {
		s.cfg.Log.Printf("stopped listening on %s port %d", addr.Addr(), addr.Port())
	}
	if err == nil {
		s.tries = 0
	} else if s.tries++; s.tries == quietTries && !onlyUnavailable(err) {
		s.cfg.Log.Printf("warning: cannot listen on every address, trying again every second: %s",
			strings.ReplaceAll(err.Error(), "\n", "; "))
	}
}

// listenFault returns a fault for an error of the listener: its text is in the wording of
// dnsmasq, and its detail is the error itself, which names the protocol and port too.
func listenFault(err error, addrs []netip.AddrPort) error {
	where := "port"
	for _, a := range addrs {
		if !strings.Contains(err.Error(), a.String()) {
			continue
		}
		if where = a.Addr().String(); a.Addr().IsUnspecified() {
			where = "port " + strconv.Itoa(int(a.Port()))
		}
	}
	return &options.Fault{
		Text:   fmt.Sprintf("failed to create listening socket for %s: %s", where, linelog.ErrorText(err)),
		Detail: err.Error(),
		Exit:   options.ExitNetwork,
	}
}

package main

import (
	"cmp"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/listenaddr"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/netif"
)

// listen binds the DNS addresses, and the one for metrics, without which the
// program can work.
func (a *app) listen() error {
	l := &a.options.Listen
	var answer listener.Splitter = a.forward.Batched()
	if l.LocalService && len(l.Addresses)+len(l.Interfaces)+len(l.ExceptInterfaces) == 0 {
		a.localOnly = &localService{next: answer, logger: a.logger, hostOnly: l.LocalHostOnly}
		a.localOnly.refresh(netif.All)
		answer = a.localOnly
	}
	var err error
	a.listener, err = listener.Listen(listener.Config{
		Addrs:    a.env.addrs,
		Dynamic:  true,
		Share:    a.options.Own.SharePort,
		Handler:  answer,
		OnPanic:  forwarder.OnPanic,
		Logger:   a.logger,
		MaxConns: cmp.Or(l.MaxTCPConnections, defaultTCPConnections),
	})
	if err != nil {
		return listenFault(err, a.env.addrs)
	}
	if len(a.env.addrs) > 0 {
		a.fixed = a.listener.Addrs()
	} else if err := a.bindFirst(); err != nil {
		return err
	}
	if address := a.options.Own.MetricsAddress; address != "" {
		if a.metrics, err = net.Listen("tcp", address); err != nil {
			a.metrics = nil
			a.log.printf("no metrics: failed to listen on %s: %s", address, systemText(err))
		}
	}
	return nil
}

// bindFirst binds the addresses that are wanted at the start. One that is not
// there yet is waited for where the options follow changes, and an IPv6 address
// of an interface until the network has agreed to it (RFC 4862 §5.4).
func (a *app) bindFirst() error {
	l := &a.options.Listen
	list, err := netif.All()
	if err != nil {
		return fault(options.ExitNetwork, "failed to find list of interfaces: %v", err)
	}
	follows := listenaddr.Follows(l)
	if follows {
		for _, name := range listenaddr.Missing(l, list) {
			a.log.printf("warning: interface %s does not currently exist", name)
		}
	} else {
		addrs, err := listenaddr.Fixed(l, list)
		if err != nil {
			return fault(options.ExitNetwork, "%v", err)
		}
		for _, addr := range addrs {
			a.fixed = append(a.fixed, netip.AddrPortFrom(addr, l.Port))
		}
	}
	wanted := a.wantedAddrs()
	_, _, bindErr := a.listener.Update(wanted)
	if bindErr == nil {
		return nil
	}
	a.bindTries = 1
	if !onlyUnavailable(bindErr) {
		return listenFault(bindErr, wanted)
	}
	bound := a.listener.Addrs()
	for _, addr := range wanted {
		switch tentative := addr.Addr().Is6() && list.NameOf(addr.Addr()) != ""; {
		case slices.Contains(bound, addr) || tentative:
		case !follows:
			return listenFault(bindErr, wanted)
		default:
			a.log.printf("warning: address %s is not available yet; waiting for it", addr.Addr())
		}
	}
	return nil
}

// wantedAddrs are the addresses to listen on now.
func (a *app) wantedAddrs() []netip.AddrPort {
	if len(a.env.addrs) > 0 || !listenaddr.Follows(&a.options.Listen) {
		return a.fixed
	}
	return listenaddr.Now(&a.options.Listen, netif.List(a.interfaces))
}

// onlyUnavailable reports whether all that an error joins says that an address
// is not there.
func onlyUnavailable(err error) bool {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return !slices.ContainsFunc(joined.Unwrap(), func(e error) bool { return !onlyUnavailable(e) })
	}
	return errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.ENODEV)
}

// quietTries is how often an address is tried, once a second, before it is
// logged that it cannot be bound.
const quietTries = 5

// rebind listens on the addresses that are wanted now.
func (a *app) rebind() {
	added, removed, err := a.listener.Update(a.wantedAddrs())
	for _, addr := range added {
		where := cmp.Or(netif.List(a.interfaces).NameOf(addr.Addr()), "no interface")
		a.log.printf("listening on %s: %s port %d", where, addr.Addr(), addr.Port())
	}
	for _, addr := range removed {
		a.log.printf("stopped listening on %s port %d", addr.Addr(), addr.Port())
	}
	if err == nil {
		a.bindTries = 0
	} else if a.bindTries++; a.bindTries == quietTries && !onlyUnavailable(err) {
		a.log.printf("warning: cannot listen on every address, trying again every second: %s",
			strings.ReplaceAll(err.Error(), "\n", "; "))
	}
}

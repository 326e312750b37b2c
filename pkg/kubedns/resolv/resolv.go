// Package resolv reads the upstream servers and the search list from a resolv.conf(5)
// file for a program that forwards queries from inside a Pod.
//
// Use [Read] to get the servers to ask, and [Search] for the search list. A line that cannot be
// used does not affect the others: it is returned beside the servers, with the reason.
package resolv

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/internal/readfile"
	"github.com/kube-dns/kube-dns/pkg/resolvconf"
)

// maxSize is the size of the largest file, in octets.
const maxSize = 1 << 20

// keyword begins a line with a server.
const keyword = "nameserver"

// maxShown is how many octets of a line are returned.
const maxShown = 200

// Skipped is a nameserver line that is not used.
type Skipped struct {
	// Line is the line without leading and trailing white space, or its beginning.
	Line string
	// Reason says why it is not used.
	Reason string
}

// Read returns the addresses in the nameserver lines of a file, each once and in
// order, and the lines that cannot be used. Unlike resolv.conf(5), it does not stop
// at three servers. Loopback addresses are not used: they would lead to this Pod,
// possibly to the calling program itself, and not to the node's resolver. It returns
// an error if the file cannot be read.
func Read(path string) (servers []netip.Addr, skipped []Skipped, err error) {
	text, err := readfile.All(path, maxSize)
	if err != nil {
		return nil, nil, err
	}
	servers, skipped = parse(text, hasInterface)
	return servers, skipped, nil
}

// Search returns the search list of a file: the entries of its last line "search", or the one
// of its last line "domain" if that comes later, as resolv.conf(5) says. It returns an
// error if the file cannot be read.
func Search(path string) ([]string, error) {
	text, err := readfile.All(path, maxSize)
	if err != nil {
		return nil, err
	}
	return parseSearch(text), nil
}

// parseSearch does the work of Search on the content of the file.
func parseSearch(text []byte) (entries []string) {
	for words := range resolvconf.Lines(text) {
		switch {
		case len(words) < 2:
		case words[0] == "search":
			entries = words[1:]
		case words[0] == "domain":
			entries = words[1:2]
		}
	}
	return entries
}

// hasInterface reports whether this machine has a network interface with that name or number.
func hasInterface(zone string) bool {
	if number, err := strconv.Atoi(zone); err == nil {
		_, err = net.InterfaceByIndex(number)
		return err == nil
	}
	_, err := net.InterfaceByName(zone)
	return err == nil
}

// parse does the work of Read on the content of the file.
func parse(text []byte, hasInterface func(zone string) bool) (servers []netip.Addr, skipped []Skipped) {
	for words, line := range resolvconf.Lines(text) {
		if len(words[0]) < len(keyword) || !strings.EqualFold(words[0][:len(keyword)], keyword) {
			continue
		}
		var addr netip.Addr
		var reason string
		switch {
		case words[0] != keyword:
			reason = "the line must begin with the word nameserver, in lower case, and a blank"
		case len(words) == 1:
			reason = "the line has no address"
		default:
			addr, reason = server(words[1], hasInterface)
		}
		switch {
		case reason != "":
			skipped = append(skipped, Skipped{line[:min(len(line), maxShown)], reason})
		case !slices.Contains(servers, addr):
			servers = append(servers, addr)
		}
	}
	return servers, skipped
}

// server reads one address. reason says why it cannot be used.
func server(text string, hasInterface func(zone string) bool) (addr netip.Addr, reason string) {
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return addr, badAddress(text)
	}
	addr = addr.Unmap()
	switch {
	case addr.IsLoopback():
		return addr, "a loopback address in resolv.conf would lead to this Pod, not to the node"
	case addr.IsUnspecified():
		return addr, "the unspecified address would lead to this Pod, not to the node"
	case !dnsname.IsUnicast(addr):
		return addr, "a multicast or broadcast address is not the address of one server"
	case addr.Zone() != "" && !hasInterface(addr.Zone()):
		return addr, fmt.Sprintf("this Pod has no network interface %q; the interface may be one of the node's", addr.Zone())
	case addr.Is6() && addr.IsLinkLocalUnicast() && addr.Zone() == "":
		return addr, "a link-local address needs an interface, as in fe80::1%eth0"
	}
	return addr, ""
}

// badAddress says what is wrong with text that is not an address.
func badAddress(text string) string {
	const only = "a nameserver line takes only an address"
	if _, err := netip.ParseAddrPort(text); err == nil {
		return only + ", without a port"
	}
	if head, _, found := strings.Cut(text, "#"); found {
		if _, err := netip.ParseAddr(head); err == nil {
			return only + ", without a port or a comment directly after it"
		}
	}
	if inner, ok := strings.CutPrefix(text, "["); ok && strings.HasSuffix(inner, "]") {
		return only + ", without brackets"
	}
	return "it is not an IP address"
}

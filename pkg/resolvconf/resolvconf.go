// Package resolvconf reads the servers of a resolv.conf(5) file for a program
// that forwards to them from inside a Pod.
//
// Use [Read] to get the servers to ask. A line that cannot be used costs only
// itself: it is returned beside the servers, with the reason.
package resolvconf

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// maxSize bounds the part of a file that is read, in octets.
const maxSize = 1 << 20

// Skipped is a nameserver line that is not used.
type Skipped struct {
	// Line is the line as written, without blanks around it.
	Line string
	// Reason says why.
	Reason string
}

// Read returns the addresses in the nameserver lines of a file, each once and in
// order, and the lines that cannot be used. There is no limit of three servers.
// Addresses of this Pod are left out: a node's own resolver is not there, or it
// would be the caller itself. The error is that of opening or reading the file.
func Read(path string) (servers []netip.Addr, skipped []Skipped, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxSize))
	if err != nil {
		return nil, nil, err
	}
	servers, skipped = parse(text, hasInterface)
	return servers, skipped, nil
}

// hasInterface reports whether this machine has a network interface of that
// name or number.
func hasInterface(zone string) bool {
	if number, err := strconv.Atoi(zone); err == nil {
		_, err = net.InterfaceByIndex(number)
		return err == nil
	}
	_, err := net.InterfaceByName(zone)
	return err == nil
}

// parse is Read after reading the file.
func parse(text []byte, hasInterface func(zone string) bool) (servers []netip.Addr, skipped []Skipped) {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	for line := range bytes.Lines(text) {
		line := strings.TrimSpace(string(line))
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != "nameserver" {
			continue
		}
		if len(fields) == 1 {
			skipped = append(skipped, Skipped{line, "there is no address"})
			continue
		}
		addr, reason := server(fields[1], hasInterface)
		switch {
		case reason != "":
			skipped = append(skipped, Skipped{line, reason})
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
		return addr, "a loopback address from resolv.conf would be this Pod, not the node"
	case addr.IsUnspecified():
		return addr, "the unspecified address would be this Pod, not the node"
	case addr.IsMulticast(), addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return addr, "it is not the address of one server"
	case addr.Zone() != "" && !hasInterface(addr.Zone()):
		return addr, fmt.Sprintf("there is no network interface %q here; it may be one of the node's", addr.Zone())
	case addr.Is6() && addr.IsLinkLocalUnicast() && addr.Zone() == "":
		return addr, "a link-local address needs an interface, as in fe80::1%eth0"
	}
	return addr, ""
}

// badAddress says what is wrong with text that is not an address.
func badAddress(text string) string {
	const only = "resolv.conf takes an address alone"
	if _, err := netip.ParseAddrPort(text); err == nil {
		return only + ", without a port"
	}
	if head, _, found := strings.Cut(text, "#"); found {
		if _, err := netip.ParseAddr(head); err == nil {
			return only + ", without a port or a comment directly behind it"
		}
	}
	if inner, ok := strings.CutPrefix(text, "["); ok && strings.HasSuffix(inner, "]") {
		return only + ", without brackets"
	}
	return "it is not an IP address"
}

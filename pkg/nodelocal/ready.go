package nodelocal

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/kube-dns/kube-dns/pkg/nodelocal/policy"
)

// errNotReady is what --node-local-ready says while no cache answers.
var errNotReady = errors.New("no cache of this process namespace answers")

// ready asks the caches of this process namespace, which in a Pod is the one cache of
// its container, at the address that each has for itself: the addresses of the node are
// shared by all instances. It returns an error unless one of them answers.
func ready() error {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		addr, ok := privateOf(line)
		if ok && ask(netip.AddrPortFrom(addr, dnsPort), 4*policy.CheckPatience) == nil {
			return nil
		}
	}
	return errNotReady
}

// privateOf returns the private address in the command line of a cache, whose arguments
// end with zero octets; ok is false for any other process.
func privateOf(line []byte) (addr netip.Addr, ok bool) {
	shared := false
	for arg := range bytes.SplitSeq(line, []byte{0}) {
		if string(arg) == shareOption {
			shared = true
		}
		list, is := strings.CutPrefix(string(arg), listenOption)
		if !shared || !is {
			continue
		}
		first, _, _ := strings.Cut(list, ",")
		addr, err := netip.ParseAddr(first)
		return addr, err == nil && isPrivate(addr)
	}
	return netip.Addr{}, false
}

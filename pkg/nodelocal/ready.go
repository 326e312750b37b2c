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

// errNotReady is what --node-local-ready reports while no cache answers.
var errNotReady = errors.New("no cache of this process namespace answers")

// ready returns an error unless a cache in this process namespace answers. In a Pod, that is
// the one cache of the container. It asks each cache at its private address, because all
// instances on a node share the node's addresses.
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

// privateOf returns the private address from a cache's command line, in which each argument
// ends with a zero octet. ok is false for any other process.
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

package testkit

import (
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"testing"
)

// FreePorts returns n different ports of 127.0.0.1 that nothing listens on just now, over UDP
// and TCP, out of size from low on. They must be below 32768, from where Linux chooses ports
// for sockets that do not name one, so that no other socket gets one by chance before it is
// used. Packages that are tested at the same time take theirs from ranges of their own.
func FreePorts(tb testing.TB, low, size, n int) []int {
	tb.Helper()
	ports := make([]int, 0, n)
	for range 100*n + 100 {
		port := low + rand.IntN(size)
		if !slices.Contains(ports, port) && isFree(port) {
			if ports = append(ports, port); len(ports) == n {
				return ports
			}
		}
	}
	tb.Fatal("no free ports on 127.0.0.1")
	return nil
}

// FreePortRow returns the first of n such ports in a row.
func FreePortRow(tb testing.TB, low, size, n int) int {
	tb.Helper()
search:
	for range 1000 {
		first := low + rand.IntN(size)
		for port := first; port < first+n; port++ {
			if !isFree(port) {
				continue search
			}
		}
		return first
	}
	tb.Fatal("no free ports on 127.0.0.1")
	return 0
}

// isFree reports whether nothing listens on a port, on any address.
func isFree(port int) bool {
	address := ":" + strconv.Itoa(port)
	l, err := net.Listen("tcp", address)
	if err != nil {
		return false
	}
	defer l.Close()
	p, err := net.ListenPacket("udp", address)
	if err != nil {
		return false
	}
	p.Close()
	return true
}

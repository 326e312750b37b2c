//go:build race

package dnstest

// RaceEnabled says that the race detector is on: it allocates and is slow.
const RaceEnabled = true

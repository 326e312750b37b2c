package main

import (
	"net/netip"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/querylog"
)

// configSource is how the query log names data from options.
const configSource = querylog.ConfigSource

func nameText(wire []byte) string            { return querylog.NameText(wire) }
func textName(name string) string            { return querylog.RecordName(name) }
func typeText(t uint16) string               { return querylog.TypeText(t) }
func reverse(name string) (netip.Addr, bool) { return querylog.ReverseAddr(name) }

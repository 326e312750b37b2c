package main

import (
	"encoding/binary"
	"encoding/hex"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync/atomic"

	"github.com/kube-dns/kube-dns/pkg/dnsmasqopt"
	"github.com/kube-dns/kube-dns/pkg/listener"
)

// loopDetector is --dns-loop-detect. It sends each default server a question
// for a random name; a server that sends the question back to us, directly or
// through others, would go round in circles with every other question too.
type loopDetector struct {
	next   handler
	logger *slog.Logger
	// found gets servers whose question came back.
	found chan netip.AddrPort
	// probes are the questions that are out, by the number in their name.
	probes atomic.Pointer[map[uint32]netip.AddrPort]
}

var _ handler = (*loopDetector)(nil)

func newLoopDetector(next handler, logger *slog.Logger) *loopDetector {
	return &loopDetector{next: next, logger: logger, found: make(chan netip.AddrPort, 16)}
}

// A probe's question is TXT IN <8 hexadecimal digits>.test, as dnsmasq's.
const (
	headerBytes = 12
	probeBytes  = headerBytes + len("\x08xxxxxxxx\x04test\x00") + 4
	probeTail   = "\x04test\x00\x00\x10\x00\x01"
)

// Handle implements [listener.Handler]: it swallows our own probes.
func (d *loopDetector) Handle(packet []byte, to listener.ReplyTo, reply []byte) []byte {
	if len(packet) >= probeBytes && packet[headerBytes] == 8 && packet[2]&0x80 == 0 &&
		string(packet[headerBytes+9:probeBytes]) == probeTail {
		if server, ok := d.mine(packet[headerBytes+1 : headerBytes+9]); ok {
			select {
			case d.found <- server:
			default: // it is found again with the next servers
			}
			return nil
		}
	}
	return d.next.Handle(packet, to, reply)
}

// Flush implements [listener.Flusher].
func (d *loopDetector) Flush() { d.next.Flush() }

// mine returns the server that a probe was sent to.
func (d *loopDetector) mine(digits []byte) (netip.AddrPort, bool) {
	probes := d.probes.Load()
	var number [4]byte
	if _, err := hex.Decode(number[:], digits); err != nil || probes == nil {
		return netip.AddrPort{}, false
	}
	server, ok := (*probes)[binary.BigEndian.Uint32(number[:])]
	return server, ok
}

// probe sends a question to each server for all names. What was out before
// counts no more.
func (d *loopDetector) probe(servers []dnsmasqopt.Server) {
	probes := map[uint32]netip.AddrPort{}
	for _, s := range servers {
		if s.Kind == dnsmasqopt.ServerAsk && s.Domain.Match == dnsmasqopt.MatchAll {
			probes[rand.Uint32()] = netip.AddrPortFrom(s.Addr, s.Port)
		}
	}
	d.probes.Store(&probes)
	for number, server := range probes {
		if err := sendProbe(server, number); err != nil {
			d.logger.Debug("loop probe not sent", "server", server, "error", err)
		}
	}
}

// sendProbe sends one question and does not wait for an answer.
func sendProbe(server netip.AddrPort, number uint32) error {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(server))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // nothing is waited for
	packet := make([]byte, 0, probeBytes)
	packet = binary.BigEndian.AppendUint16(packet, uint16(rand.Uint32()))
	packet = append(packet, 0x01, 0, 0, 1, 0, 0, 0, 0, 0, 0, 8) // RD, one question
	packet = hex.AppendEncode(packet, binary.BigEndian.AppendUint32(nil, number))
	_, err = conn.Write(append(packet, probeTail...))
	return err
}

// Package ednstag adds EDNS options about the client to the questions that upstream
// servers are asked, as dnsmasq does: --add-mac, --add-subnet, --add-cpe-id, --umbrella.
//
// Use [New] and pass the stage to a forwarder.
package ednstag

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"net/netip"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Config says which EDNS options to add. With the zero value there are none. It must not
// change after New.
type Config struct {
	// ClientInfo says what to send. Of its forms of the hardware address, MACText overrides
	// MACBase64.
	options.ClientInfo
	// Hardware returns the hardware address of a client, or nil if it is not known. It must
	// not block, and is called by many goroutines. If Hardware is nil, hardware addresses are
	// not sent.
	Hardware func(netip.Addr) []byte
}

// Option codes: those below 65001 are from the IANA registry, the others are dnsmasq's.
const (
	optionUmbrella  = 20292
	optionMAC       = 65001
	optionMACEncode = 65073
	optionCPEID     = 65074
)

// tagger makes the options.
type tagger struct {
	Config
	// fixed4 and fixed6 are the options for IPv4 and IPv6 clients if they do not depend on
	// the client. fixed are those for questions without a client.
	fixed4, fixed6, fixed string
}

// New returns the stage for cfg. ok is false if cfg adds no options, so that the stage is
// not needed.
func New(cfg *Config) (stage forwarder.Stage, ok bool) {
	if cfg.Hardware == nil && !cfg.AddSubnet && cfg.CPEID == "" && !cfg.Umbrella.On {
		return forwarder.Stage{}, false
	}
	t := newTagger(cfg)
	return forwarder.Stage{Name: "client information", Query: func(q *forwarder.Query) bool {
		if q.Msg.Class != wire.ClassCH {
			q.Options, q.Private = t.of(q.Client())
		}
		return false
	}}, true
}

func newTagger(cfg *Config) *tagger {
	t := &tagger{Config: *cfg}
	all, _ := t.append(nil, netip.IPv4Unspecified(), nil)
	t.fixed4 = string(all)
	all, _ = t.append(nil, netip.IPv6Unspecified(), nil)
	t.fixed6 = string(all)
	t.fixed = string(t.appendCPEID(nil))
	return t
}

// of returns the options for the question of a client in wire form. private is true if they
// depend on the client, so that its answers must not be given to other clients. If they do
// not, of does not allocate.
func (t *tagger) of(addr netip.Addr) (options string, private bool) {
	addr = addr.Unmap()
	if !addr.IsValid() {
		return t.fixed, false
	}
	var mac []byte
	if t.Hardware != nil {
		mac = t.Hardware(addr)
	}
	subnet := &t.Subnet6
	if addr.Is4() {
		subnet = &t.Subnet4
	}
	if len(mac) == 0 && !t.Umbrella.On && (!t.AddSubnet || subnet.Bits == 0 || subnet.Addr.IsValid()) {
		if addr.Is4() {
			return t.fixed4, false
		}
		return t.fixed6, false
	}
	all, private := t.append(nil, addr, mac)
	return string(all), private
}

// append appends all options, in dnsmasq's order.
func (t *tagger) append(dst []byte, addr netip.Addr, mac []byte) (out []byte, private bool) {
	if len(mac) > 0 {
		private = true
		if t.MAC {
			dst = append(appendOption(dst, optionMAC, len(mac)), mac...)
		}
		// Six octets, as in dnsmasq: other hardware has no usual text.
		if text := t.macText(mac); len(mac) == 6 && text != "" {
			dst = append(appendOption(dst, optionMACEncode, len(text)), text...)
		}
	}
	dst = t.appendCPEID(dst)
	if t.Umbrella.On {
		dst, private = appendUmbrella(dst, &t.Umbrella, addr), true
	}
	if t.AddSubnet {
		subnet := &t.Subnet6
		if addr.Is4() {
			subnet = &t.Subnet4
		}
		dst = appendSubnet(dst, subnet, addr)
		private = private || subnet.Bits > 0 && !subnet.Addr.IsValid()
	}
	return dst, private
}

func (t *tagger) appendCPEID(dst []byte) []byte {
	if t.CPEID == "" {
		return dst
	}
	return append(appendOption(dst, optionCPEID, len(t.CPEID)), t.CPEID...)
}

// macText returns the hardware address in the configured form.
func (t *tagger) macText(mac []byte) string {
	switch {
	case t.MACText:
		var text []byte
		for i := range mac {
			if i > 0 {
				text = append(text, ':')
			}
			text = hex.AppendEncode(text, mac[i:i+1])
		}
		return string(text)
	case t.MACBase64:
		return base64.StdEncoding.EncodeToString(mac)
	}
	return ""
}

func appendOption(dst []byte, code uint16, size int) []byte {
	dst = binary.BigEndian.AppendUint16(dst, code)
	return binary.BigEndian.AppendUint16(dst, uint16(size))
}

// appendSubnet appends the option of RFC 7871 §6: family, number of bits, scope 0, and the
// octets of the address that contain these bits; the bits after them are zero.
func appendSubnet(dst []byte, s *options.ClientSubnet, client netip.Addr) []byte {
	addr := client
	if s.Addr.IsValid() {
		addr = s.Addr
	}
	family := byte(2)
	if addr.Is4() {
		family = 1
	}
	bits := min(s.Bits, addr.BitLen())
	octets := addr.AsSlice()[:(bits+7)/8]
	if rest := bits % 8; rest != 0 {
		octets[len(octets)-1] &= 0xff << (8 - rest)
	}
	dst = appendOption(dst, wire.OptionECS, 4+len(octets))
	dst = append(dst, 0, family, byte(bits), 0)
	return append(dst, octets...)
}

// appendUmbrella appends the option of Cisco Umbrella: a magic word, version 1, no flags, and
// fields that consist of a type and a value.
func appendUmbrella(dst []byte, u *options.Umbrella, client netip.Addr) []byte {
	start := len(dst)
	dst = append(appendOption(dst, optionUmbrella, 0), "ODNS\x01\x00"...)
	if u.Org != 0 {
		dst = binary.BigEndian.AppendUint32(append(dst, 0, 0x08), u.Org)
	}
	if client.Is4() {
		dst = append(dst, 0, 0x10)
	} else {
		dst = append(dst, 0, 0x20)
	}
	dst = append(dst, client.AsSlice()...)
	if u.HasDevice {
		dst = append(append(dst, 0, 0x40), u.Device[:]...)
	}
	if u.Asset != 0 {
		dst = binary.BigEndian.AppendUint32(append(dst, 0, 0x04), u.Asset)
	}
	binary.BigEndian.PutUint16(dst[start+2:], uint16(len(dst)-start-4))
	return dst
}

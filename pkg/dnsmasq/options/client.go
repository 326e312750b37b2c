package options

import (
	"encoding/hex"
	"net/netip"
	"strconv"
)

// ClientInfo says which information about the client is sent to upstream servers, in
// EDNS options.
type ClientInfo struct {
	// MAC, MACBase64 and MACText are the three forms of --add-mac, which may be
	// combined. MACText overrides MACBase64.
	MAC, MACBase64, MACText bool
	// AddSubnet says whether --add-subnet was given.
	AddSubnet bool
	// Subnet4 and Subnet6 are its values for IPv4 and IPv6 clients.
	Subnet4, Subnet6 ClientSubnet
	// CPEID is --add-cpe-id; "" means not given.
	CPEID string
	// Umbrella is --umbrella.
	Umbrella Umbrella
}

// ClientSubnet is the value of --add-subnet for one address family: the first Bits of
// Addr, or of the client's address if Addr is not valid.
type ClientSubnet struct {
	Bits int
	Addr netip.Addr
}

// Umbrella is --umbrella. Org and Asset are sent if they are not 0, Device if HasDevice is
// true.
type Umbrella struct {
	On         bool
	Org, Asset uint32
	Device     [8]byte
	HasDevice  bool
}

func setAddMAC(p *parser, value string, given bool) error {
	c := &p.o.Upstream.Client
	switch value = unhide(value); {
	case !given:
		c.MAC = true
	case value == "base64":
		c.MACBase64 = true
	case value == "text":
		c.MACText = true
	default:
		return bad("", "%q is not valid; the value must be base64 or text", value)
	}
	return nil
}

func setAddSubnet(p *parser, value string, given bool) error {
	c := &p.o.Upstream.Client
	c.AddSubnet = true
	if !given {
		return nil
	}
	list := items(value)
	if len(list) > 2 {
		return bad("", "too many values")
	}
	for i, half := range []*ClientSubnet{&c.Subnet4, &c.Subnet6}[:len(list)] {
		s, err := parseClientSubnet(unhide(list[i]), []int{32, 128}[i])
		if err != nil {
			return err
		}
		*half = s
	}
	return nil
}

// parseClientSubnet parses [address/]bits. Missing bits are 0. most is the number of bits
// of the address family.
func parseClientSubnet(text string, most int) (s ClientSubnet, err error) {
	bitsText := text
	if addrText, rest, hasAddr := cut(text, '/'); hasAddr {
		addr, err := netip.ParseAddr(addrText)
		if err != nil || addr.Zone() != "" {
			return s, bad("bad address", "%q", addrText)
		}
		s.Addr, most, bitsText = addr, addr.BitLen(), rest
	}
	if s.Bits, err = digits(bitsText); err != nil {
		return s, err
	}
	if s.Bits > most {
		return s, bad("bad prefix length", "%d bits are more than the address has (%d)", s.Bits, most)
	}
	return s, nil
}

// maxCPEID is the longest --add-cpe-id, in octets. It fits into a message of 512 octets
// together with the longest name and the other options.
const maxCPEID = 64

func setCPEID(p *parser, value string, _ bool) error {
	value = unhide(value)
	if len(value) > maxCPEID {
		return bad("", "the text has %d octets, at most %d are allowed", len(value), maxCPEID)
	}
	p.o.Upstream.Client.CPEID = value
	return nil
}

func setUmbrella(p *parser, value string, given bool) error {
	u := Umbrella{On: true}
	var list []string
	if given {
		list = items(value)
	}
	for _, item := range list {
		key, text, _ := cut(unhide(item), ':')
		var err error
		switch key {
		case "deviceid":
			n, hexErr := hex.Decode(u.Device[:], []byte(text[:min(len(text), 2*len(u.Device))]))
			if u.HasDevice = true; hexErr != nil || n != len(u.Device) || len(text) != 2*n {
				return bad("", "deviceid %q is not 16 hexadecimal digits", text)
			}
		case "orgid":
			u.Org, err = number32(text)
		case "assetid":
			u.Asset, err = number32(text)
		default:
			return bad("", "unknown part %q; the parts are deviceid, orgid and assetid", item)
		}
		if err != nil {
			return err
		}
	}
	p.o.Upstream.Client.Umbrella = u
	return nil
}

// number32 parses a number of 32 bits. An empty text is 0.
func number32(text string) (uint32, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0, bad("", "%q is not a number from 0 to 4294967295", text)
	}
	return uint32(n), nil
}

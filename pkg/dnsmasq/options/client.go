package options

import (
	"encoding/hex"
	"net/netip"
	"strconv"
)

// ClientInfo is what is told other servers about the client that asks, in EDNS
// options.
type ClientInfo struct {
	// MAC, MACBase64 and MACText are --add-mac in its three forms, which may be
	// combined; of the last two MACText wins.
	MAC, MACBase64, MACText bool
	// AddSubnet is whether --add-subnet was given; Subnet4 and Subnet6 are for
	// clients of either family.
	AddSubnet        bool
	Subnet4, Subnet6 ClientSubnet
	// CPEID is --add-cpe-id, "" for none.
	CPEID string
	// Umbrella is --umbrella.
	Umbrella Umbrella
}

// ClientSubnet is a half of --add-subnet: the first Bits of Addr, or of the
// client's address when Addr is not valid.
type ClientSubnet struct {
	Bits int
	Addr netip.Addr
}

// Umbrella is --umbrella, what Cisco Umbrella is told. Org and Asset are sent
// when they are not 0.
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
		return bad("", "%q is neither base64 nor text", value)
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

// parseClientSubnet reads [address/]bits; no bits are 0.
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
		return s, bad("bad prefix length", "%d bits are more than the %d of the address", s.Bits, most)
	}
	return s, nil
}

// maxCPEID bounds --add-cpe-id so that it fits beside the longest name and the
// other options in a message of 512 octets.
const maxCPEID = 64

func setCPEID(p *parser, value string, _ bool) error {
	value = unhide(value)
	if len(value) > maxCPEID {
		return bad("", "%d octets are more than %d", len(value), maxCPEID)
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
			return bad("", "%q is neither deviceid, nor orgid, nor assetid", item)
		}
		if err != nil {
			return err
		}
	}
	p.o.Upstream.Client.Umbrella = u
	return nil
}

// number32 reads a number of 32 bits; nothing is 0.
func number32(text string) (uint32, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0, bad("", "%q is not a number of 32 bits", text)
	}
	return uint32(n), nil
}

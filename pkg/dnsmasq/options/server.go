package options

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// ServerKind says how to resolve the names in a [Server]'s domain.
type ServerKind uint8

const (
	// ServerAsk asks the server.
	ServerAsk ServerKind = iota
	// ServerLocal answers from local data only ("/domain/").
	ServerLocal
	// ServerStandard asks the servers that have no domain ("/domain/#").
	ServerStandard
	// ServerNone means that no server of the domain has an address yet. No option
	// gives it, but the directory of dnsmasq-nanny.
	ServerNone
)

// Server is one --server, --local or --rev-server for one domain. An option with several
// domains results in a Server for each. It is comparable.
type Server struct {
	// Domain says which names this server is for.
	Domain dnsname.Domain
	// Addr is the server's address for ServerAsk, unless Host is set. It may have a zone.
	Addr netip.Addr
	// Kind says how to resolve the names. Small fields are together: there may be many servers.
	Kind ServerKind
	// Role is the server's place beside others. No option gives it, but --server-replicas
	// leads to it.
	Role ServerRole
	// Port is the server's port for ServerAsk.
	Port uint16
	// SourcePort is the port from which queries are sent; 0 means a random one.
	SourcePort uint16
	// Host is the name of a server that is given by name. Its addresses must be looked up
	// when the program starts.
	Host string
	// Interface is the interface through which queries must be sent; "" means any.
	Interface string
	// Source is the address from which queries are sent; if it is not valid, any.
	Source netip.Addr
	// TLS says whether to ask the server only over TLS ("tls:" before the address) or TCP
	// ("tcp:").
	TLS ServerTLS
}

// ServerRole is a server's place among those of its domain.
type ServerRole uint8

const (
	// PeerServer has no special place.
	PeerServer ServerRole = iota
	// ReplicaServer gives the same answers as the other replicas.
	ReplicaServer
	// ReserveServer leads to any of the replicas, and is asked if none answers.
	ReserveServer
)

// String returns the server in the form of the option.
func (s Server) String() string {
	var b strings.Builder
	if s.Domain.Match != dnsname.MatchAll {
		b.WriteString("/" + s.Domain.String() + "/")
	} else if s.Kind != ServerAsk {
		b.WriteString("/#/")
	}
	switch s.Kind {
	case ServerStandard:
		b.WriteByte('#')
	case ServerAsk:
		b.WriteString(s.TLS.Scheme())
		if s.Host != "" {
			b.WriteString(s.Host)
		} else {
			b.WriteString(s.Addr.String())
		}
		b.WriteString("#" + strconv.Itoa(int(s.Port)))
		if s.Interface != "" {
			b.WriteString("@" + s.Interface)
		}
		if s.Source.IsValid() {
			b.WriteString("@" + s.Source.String())
			if s.SourcePort != 0 {
				b.WriteString("#" + strconv.Itoa(int(s.SourcePort)))
			}
		}
		b.WriteString(s.TLS.suffix())
	}
	return b.String()
}

// notAServer is dnsmasq's message for a text that it takes for a host name.
const notAServer = "Name or service not known"

// parseServer parses the value of --server and --local.
func parseServer(value string) ([]Server, error) {
	if err := slashedTLS(unhide(value)); err != nil {
		return nil, err
	}
	domains, rest, err := cutDomains(value)
	if err != nil {
		return nil, err
	}
	if err := tlsInSlash(domains, unhide(rest)); err != nil {
		return nil, err
	}
	var target Server
	switch {
	case rest == "" && !strings.HasPrefix(value, "/"):
		return nil, nil // dnsmasq ignores an empty --server
	case rest == "":
		target.Kind = ServerLocal
	case rest == "#":
		target.Kind = ServerStandard
	default:
		if target, err = parseUpstream(unhide(rest)); err != nil {
			return nil, err
		}
	}
	servers := make([]Server, 0, len(domains))
	for _, d := range domains {
		target.Domain = d
		if target.Kind == ServerStandard && d.Match == dnsname.MatchAll {
			continue // all names go to the standard servers anyway
		}
		servers = append(servers, target)
	}
	return servers, nil
}

// parseUpstream parses addr[%scope][#port][@interface][@source[#port]], or the same after
// "tls:" or "tcp:".
func parseUpstream(text string) (Server, error) {
	if len(text) >= 4 && strings.EqualFold(text[:4], "tls:") {
		return parseTLS(text[4:])
	}
	if len(text) >= 4 && strings.EqualFold(text[:4], "tcp:") {
		return parseTCP(text[4:])
	}
	if err := notForPlain(text); err != nil {
		return Server{}, err
	}
	s := Server{Port: DefaultPort}
	host, from, hasFrom := cut(text, '@')
	host, portText, hasPort := cut(host, '#')
	if hasPort && portText != "" {
		port, ok := parsePort(portText)
		if !ok || port == 0 {
			return Server{}, bad("bad port", "%q is not a port", portText)
		}
		s.Port = port
	}
	if err := s.setHost(host); err != nil {
		return Server{}, err
	}
	if !hasFrom || from == "" {
		return s, nil
	}
	first, second, both := cut(from, '@')
	if !both {
		if source, _, _ := cut(first, '#'); parsesAsAddr(source) {
			return s, s.setSource(first)
		}
		return s, s.setInterface(first)
	}
	if err := s.setInterface(first); err != nil {
		return Server{}, err
	}
	return s, s.setSource(second)
}

func parsesAsAddr(text string) bool {
	_, err := parseAddr(text)
	return err == nil
}

// parseAddr parses an address with or without brackets.
func parseAddr(text string) (netip.Addr, error) {
	if inner, ok := strings.CutPrefix(text, "["); ok {
		if inner, ok = strings.CutSuffix(inner, "]"); ok && strings.Contains(inner, ":") {
			text = inner
		}
	}
	return netip.ParseAddr(text)
}

// setHost sets the server's address or name.
func (s *Server) setHost(text string) error {
	if addr, err := parseAddr(text); err == nil {
		s.Addr = addr.Unmap().WithZone(addr.Zone())
		if !dnsname.IsUnicast(s.Addr) {
			return bad("bad address", "invalid server address %s; use the address of one server", text)
		}
		return nil
	}
	switch {
	case text == "":
		return bad(notAServer, "the server's address is missing")
	case strings.Contains(text, ":"):
		return bad(notAServer, "%q is not an address; write a port as address#port, and IPv6 addresses without brackets", text)
	case strings.Trim(text, "0123456789.") == "":
		return bad(notAServer, "%q is not a complete address", text)
	case !dnsname.IsSubdomain1123(strings.ToLower(strings.TrimSuffix(text, "."))):
		return bad(notAServer, "%q is not an address or a host name; for a second server, repeat the option", text)
	}
	s.Host = strings.ToLower(strings.TrimSuffix(text, "."))
	return nil
}

func (s *Server) setInterface(name string) error {
	if !isInterface(name) || strings.Contains(name, "#") {
		return bad("bad interface name", "%q", name)
	}
	s.Interface = name
	return nil
}

func (s *Server) setSource(text string) error {
	text, portText, _ := cut(text, '#')
	if portText != "" {
		port, ok := parsePort(portText)
		if !ok {
			return bad("bad port", "%q is not a port", portText)
		}
		s.SourcePort = port
	}
	source, err := parseAddr(text)
	if err != nil {
		return bad("bad interface name", "the source %q is not an address", text)
	}
	s.Source = source
	if s.Host == "" && s.Addr.Is4() != source.Is4() {
		family := map[bool]string{true: "IPv4", false: "IPv6"}
		return bad("cannot use "+family[s.Addr.Is4()]+" server address with "+family[source.Is4()]+" source address", "")
	}
	return nil
}

// parsePort parses a number from 0 to 65535.
func parsePort(text string) (uint16, bool) {
	n, err := number16(text, "")
	return n, err == nil && text != ""
}

// parseRevServer parses the value of --rev-server: network[/bits][,server]. It returns a
// Server for each reverse zone; there are several if bits is not the boundary of a label.
func parseRevServer(value string) ([]Server, error) {
	network, rest, hasServer := cut(value, ',')
	prefix, err := parseNetwork(network, 1, "bad IP prefix length")
	if err != nil {
		return nil, err
	}
	target := Server{Kind: ServerLocal}
	switch {
	case hasServer && rest == "#":
		target.Kind = ServerStandard
	case hasServer:
		if err := slashedTLS(unhide(rest)); err != nil {
			return nil, err
		}
		if target, err = parseUpstream(unhide(rest)); err != nil {
			return nil, err
		}
	}
	var servers []Server
	for _, zone := range reverseZones(prefix) {
		target.Domain = dnsname.Domain{Match: dnsname.MatchSuffix, Name: zone}
		servers = append(servers, target)
	}
	return servers, nil
}

// reverseZones returns the zones of a network's reverse names, in the order of the addresses.
func reverseZones(prefix netip.Prefix) []dnsname.Name {
	labelBits, labels := 8, 4
	if prefix.Addr().Is6() {
		labelBits, labels = 4, 32
	}
	kept := (prefix.Bits() + labelBits - 1) / labelBits
	count := 1 << (kept*labelBits - prefix.Bits())
	// The last label counts up; its bits are in this octet.
	octet, step := kept-1, 1
	if labelBits == 4 {
		octet = (kept - 1) / 2
		if kept%2 == 1 {
			step = 16
		}
	}
	bytes := prefix.Addr().AsSlice()
	zones := make([]dnsname.Name, 0, count)
	for range count {
		addr, _ := netip.AddrFromSlice(bytes)
		zone := dnsname.ReverseName(addr)
		for range labels - kept {
			zone = zone.Parent()
		}
		zones = append(zones, zone)
		bytes[octet] += byte(step)
	}
	return zones
}

// AddressKind says what --address answers.
type AddressKind uint8

const (
	// AddressLiteral answers with one address, for queries of its family.
	AddressLiteral AddressKind = iota
	// AddressNull answers with 0.0.0.0 and :: ("#").
	AddressNull
	// AddressLocal answers that the name does not exist (no address given).
	AddressLocal
)

// Address is one --address for one domain. It is comparable.
type Address struct {
	Domain dnsname.Domain
	Kind   AddressKind
	Addr   netip.Addr // set for AddressLiteral
}

// parseAddress parses the value of --address.
func parseAddress(value string) ([]Address, error) {
	if value == "" {
		return nil, nil
	}
	domains, rest, err := cutDomains(value)
	if err != nil {
		return nil, err
	}
	var target Address
	switch rest {
	case "":
		target.Kind = AddressLocal
	case "#":
		target.Kind = AddressNull
	default:
		addr, err := netip.ParseAddr(unhide(rest))
		if err != nil || addr.Zone() != "" {
			if err := brackets(unhide(rest)); err != nil {
				return nil, err
			}
			return nil, bad("Bad address in --address", "%q is not an address; use # for 0.0.0.0 and ::", rest)
		}
		target.Addr = addr
	}
	addresses := make([]Address, 0, len(domains))
	for _, d := range domains {
		target.Domain = d
		addresses = append(addresses, target)
	}
	return addresses, nil
}

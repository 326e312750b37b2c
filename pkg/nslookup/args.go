package nslookup

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

const usage = "usage: nslookup [-type=TYPE] NAME [SERVER[:PORT]]"

// Request is a valid command line.
type Request struct {
	// Name is the name or the address as it was typed.
	Name string
	// Type is the record type. Zero means PTR if Name is an address, and A and AAAA
	// otherwise.
	Type uint16
	// Server is the server to ask; the zero Server stands for those of resolv.conf.
	Server Server
}

// Server is a server as it was typed: a port, and an address or a name that has yet
// to be looked up. The zero Server means that none was given.
type Server struct {
	Addr netip.Addr
	Host string
	Port uint16
}

// ParseArgs reads the arguments, without the program's name.
func ParseArgs(args []string) (Request, error) {
	var (
		req  Request
		rest []string
	)
	for i, arg := range args {
		if arg == "--" {
			rest = append(rest, args[i+1:]...)
			break
		}
		if !strings.HasPrefix(arg, "-") || arg == "-" {
			rest = append(rest, arg)
			continue
		}
		name, value, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		switch name {
		case "type", "querytype", "query", "q":
			t, ok := dns.StringToType[strings.ToUpper(value)]
			if !ok {
				return Request{}, fmt.Errorf("unknown record type in %q", arg)
			}
			req.Type = t
		default:
			return Request{}, fmt.Errorf("unknown option %q", arg)
		}
	}
	switch len(rest) {
	case 0:
		return Request{}, errors.New("missing name")
	case 1, 2:
	default:
		return Request{}, fmt.Errorf("unexpected argument %q", rest[2])
	}
	req.Name = rest[0]
	if _, ok := dns.IsDomainName(req.Name); !ok || req.Name == "" {
		return Request{}, fmt.Errorf("invalid domain name %q", req.Name)
	}
	if len(rest) == 2 {
		server, err := ParseServer(rest[1])
		if err != nil {
			return Request{}, err
		}
		req.Server = server
	}
	return req, nil
}

// ParseServer reads ADDRESS, ADDRESS:PORT, ADDRESS#PORT or [IPV6]:PORT, or the same
// with a host name in place of the address. The default port is 53.
func ParseServer(text string) (Server, error) {
	bad := fmt.Errorf("invalid server %q", text)
	host, port := text, ""
	if a, err := netip.ParseAddr(text); err == nil {
		return Server{Addr: a, Port: dnsPort}, nil // includes IPv6 without brackets
	}
	if h, p, ok := strings.Cut(text, "#"); ok {
		host, port = h, p
	} else if i := strings.LastIndexByte(text, ':'); i >= 0 && !strings.HasSuffix(text, "]") {
		host, port = text[:i], text[i+1:]
	}
	s := Server{Port: dnsPort}
	if host != text {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return Server{}, fmt.Errorf("%w: invalid port %q", bad, port)
		}
		s.Port = uint16(n)
	}
	inner, bracketed := strings.CutPrefix(host, "[")
	if bracketed {
		var closed bool
		if inner, closed = strings.CutSuffix(inner, "]"); !closed {
			return Server{}, bad
		}
	}
	if a, err := netip.ParseAddr(inner); err == nil && (!bracketed || a.Is6()) {
		s.Addr = a
		return s, nil
	}
	if _, ok := dns.IsDomainName(host); !ok || bracketed || host == "" || strings.ContainsAny(host, ":#/ ") {
		return Server{}, bad
	}
	s.Host = host
	return s, nil
}

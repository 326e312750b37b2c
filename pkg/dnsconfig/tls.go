package dnsconfig

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// DefaultTLSPort is the port of a TLS server given without one (RFC 7858 §3.1).
const DefaultTLSPort = 853

// tlsScheme is the prefix of a server that is asked over TLS, as in the ConfigMap of
// NodeLocal DNSCache.
const tlsScheme = "tls://"

// tlsForm describes the valid forms, for error messages.
const tlsForm = "write tls://ADDRESS%NAME:PORT or tls://[IPV6-ADDRESS%NAME]:PORT; %NAME (of the certificate) and :PORT may be left out"

// isTLS reports whether text is meant to be a server that is asked over TLS.
func isTLS(text string) bool {
	return len(text) >= len(tlsScheme) && strings.EqualFold(text[:len(tlsScheme)], tlsScheme)
}

// parseTLSServer parses tls://ADDRESS[%NAME][:PORT] or tls://[ADDRESS[%NAME]][:PORT].
func parseTLSServer(text string) (Server, error) {
	wrong := func(reason string) (Server, error) {
		return Server{}, fmt.Errorf("%q: %s; %s", text, reason, tlsForm)
	}
	if strings.Contains(text, "#") {
		return wrong("the name of the certificate goes after %, not after #")
	}
	host, port, err := cutTLSPort(text[len(tlsScheme):])
	if err != nil {
		return wrong(err.Error())
	}
	host, name, named := strings.Cut(host, "%")
	addr, err := netip.ParseAddr(host)
	switch {
	case err != nil:
		return wrong("the server must be given as an IP address, because a name would have to be looked up in clear text")
	case addr.Is6() && addr.IsLinkLocalUnicast():
		return wrong("a link-local address needs its interface, for which this form has no place")
	case named && !isServerName(name):
		return wrong(fmt.Sprintf("%q is not a name that a certificate can be valid for", name))
	}
	server, err := serverAt(text, addr, port)
	server.TLS, server.TLSName = err == nil, strings.ToLower(strings.TrimSuffix(name, "."))
	return server, err
}

// isAddr reports whether text is an address.
func isAddr(text string) bool {
	_, err := netip.ParseAddr(text)
	return err == nil
}

// isServerName reports whether a certificate can be valid for name.
func isServerName(name string) bool {
	return isAddr(name) || dnsname.IsSubdomain1123(strings.ToLower(strings.TrimSuffix(name, ".")))
}

// cutTLSPort splits the text after tls:// into the address with its name, and the
// port.
func cutTLSPort(text string) (host string, port uint16, err error) {
	portText := ""
	if inner, rest, bracketed := strings.Cut(strings.TrimPrefix(text, "["), "]"); strings.HasPrefix(text, "[") {
		if !bracketed || !strings.Contains(inner, ":") || rest != "" && rest[0] != ':' {
			return "", 0, errors.New("brackets are for an IPv6 address")
		}
		host, portText = inner, rest
	} else {
		host = text
		// An IPv6 address without brackets has no port.
		addr, name, _ := strings.Cut(text, "%")
		if strings.Count(addr, ":") < 2 {
			if i := strings.LastIndexByte(text, ':'); i >= 0 {
				host, portText = text[:i], text[i:]
			}
		} else if before, ok := strings.CutSuffix(addr, ":853"); strings.Contains(name, ":") || ok && isAddr(before) {
			return "", 0, errors.New("an IPv6 address with a port, or one that ends in :853, must be in brackets")
		}
	}
	if portText == "" {
		return host, DefaultTLSPort, nil
	}
	n, err := strconv.ParseUint(portText[1:], 10, 16)
	if err != nil || n == 0 || strings.Trim(portText[1:], "0123456789") != "" {
		return "", 0, errors.New("the port must be from 1 to 65535")
	}
	return host, uint16(n), nil
}

// tlsText returns the server in the form of the configuration.
func (s Server) tlsText() string {
	host := s.Addr.Addr().String()
	if s.TLSName != "" {
		host += "%" + s.TLSName
	}
	if s.Addr.Addr().Is6() {
		host = "[" + host + "]"
	}
	return tlsScheme + host + ":" + strconv.Itoa(int(s.Addr.Port()))
}

// Unmixed returns an error if some of servers, which are asked for the same names,
// use TLS and others clear text.
func Unmixed(servers []Server) error {
	for _, s := range servers {
		if s.TLS != servers[0].TLS {
			return fmt.Errorf("%v and %v are servers for the same names, one over TLS and the other in clear text; use one kind", servers[0], s)
		}
	}
	return nil
}

// misplacedTLS returns an error for each key that is not known but looks like the
// misspelling of one, and has servers over TLS: without it, the names would be asked in
// clear text.
func misplacedTLS(data map[string]string) (errs []error) {
	for _, key := range slices.Sorted(maps.Keys(data)) {
		if slices.Contains(knownKeys(), key) || !hasTLS(key, data[key]) {
			continue
		}
		errs = append(errs, fmt.Errorf("unknown key %q has servers over TLS; did you mean %q?", key, nearestKey(key)))
	}
	return errs
}

// hasTLS reports whether a key, known or nearly known, has servers over TLS, validly
// written or not.
func hasTLS(key, text string) bool {
	near := nearestKey(key)
	return (near == KeyStubDomains || near == KeyUpstreamNameservers) && strings.Contains(strings.ToLower(text), "tls:")
}

// Package dnsconfig reads the live configuration of the addon: the keys federations,
// stubDomains, upstreamNameservers, autopath and autopathSearches of the ConfigMap
// "kube-dns".
//
// Use a [Poller] to follow the directory at which the ConfigMap is mounted, a
// [Tracker] for contents from elsewhere, and [Parse] for one content.
//
// One bad key rejects a whole update, so that a typing error never leaves half
// of an old and half of a new configuration in effect.
package dnsconfig

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/kube-dns/kube-dns/pkg/autopath"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// The keys of the ConfigMap, and the names of the files in its mounted form.
// Other keys have no effect; see [UnknownKeys].
const (
	KeyFederations         = "federations"
	KeyStubDomains         = "stubDomains"
	KeyUpstreamNameservers = "upstreamNameservers"
	KeyAutopath            = "autopath"
	KeyAutopathSearches    = "autopathSearches"
)

// DefaultPort is the port of a server given without one.
const DefaultPort = 53

// MaxUpstreamNameservers is how many entries upstreamNameservers may have, the
// number of nameserver lines that resolv.conf(5) honours.
const MaxUpstreamNameservers = 3

// Config is one accepted configuration. The zero value is the default: no
// federations, no stub domains, and the servers of resolv.conf. Nobody may change a
// Config after it has been returned.
type Config struct {
	// Federations maps a federation's name (one label) to its domain.
	Federations map[string]string
	// StubDomains maps a domain to the upstream servers for the domain and all names
	// below it. A domain with an empty list has no effect.
	StubDomains map[dnsname.Name][]Server
	// UpstreamNameservers replaces the servers of resolv.conf, unless it is empty.
	// Each entry has an address, never a name.
	UpstreamNameservers []Server
	// Autopath says which names are completed; Unset if there is no such key.
	Autopath autopath.Mode
	// AutopathSearches are the search entries of clients after those of the cluster; nil if
	// there is no such key.
	AutopathSearches []dnsname.Name
	// Withheld says that there is no valid configuration yet, and that the one that
	// was rejected asks for servers over TLS: no upstream server may be asked, because
	// the default ones would hear in clear text what was meant for others.
	Withheld bool
}

// Server is one upstream server: either an address with a port, or a name, whose
// addresses are to be looked up and asked on DefaultPort.
type Server struct {
	Addr netip.AddrPort // not valid if Name is set
	Name dnsname.Name   // empty if Addr is set
	// TLS says to ask Addr only over TLS. TLSName is the name that the server's
	// certificate must be valid for; if it is empty, it must be valid for the address.
	TLS     bool
	TLSName string
}

// String returns the server in the form of the configuration, always with the port
// if it is an address.
func (s Server) String() string {
	if s.TLS {
		return s.tlsText()
	}
	if s.Name != "" {
		return strings.TrimSuffix(s.Name.String(), ".")
	}
	return s.Addr.String()
}

// Parse reads the keys from data, which is the ConfigMap's data or the content
// of its files. Missing keys have their defaults. If any key is invalid, the result
// is the zero Config, and the error names each invalid key with the reason. Unknown
// keys are ignored, unless they look like misspelt ones with servers over TLS.
func Parse(data map[string]string) (Config, error) {
	var c Config
	var errs []error
	try := func(key string, parse func(text string) error) {
		if text, ok := data[key]; ok {
			if err := parse(text); err != nil {
				errs = append(errs, fmt.Errorf("key %s: %w", key, err))
			}
		}
	}
	try(KeyFederations, func(text string) (err error) {
		c.Federations, err = ParseFederations(text)
		return err
	})
	try(KeyStubDomains, func(text string) (err error) {
		c.StubDomains, err = parseStubDomains(text)
		return err
	})
	try(KeyUpstreamNameservers, func(text string) (err error) {
		c.UpstreamNameservers, err = parseUpstream(text)
		return err
	})
	try(KeyAutopath, func(text string) (err error) {
		c.Autopath, err = autopath.ParseMode(text)
		return err
	})
	try(KeyAutopathSearches, func(text string) (err error) {
		c.AutopathSearches, err = parseSearches(text)
		return err
	})
	errs = append(errs, misplacedTLS(data)...)
	if len(errs) > 0 {
		return Config{}, errors.Join(errs...)
	}
	return c, nil
}

// ParseFederations parses "name=domain,name=domain", the form of the key and of the
// flag --federations. White space around names and domains is ignored. An empty text
// means no federations, and the result is nil.
func ParseFederations(text string) (map[string]string, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	if strings.HasPrefix(text, "\ufeff") {
		return nil, errors.New("the text begins with a byte order mark; remove it")
	}
	federations := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		name, domain, ok := strings.Cut(pair, "=")
		name, domain = strings.TrimSpace(name), strings.TrimSpace(domain)
		switch {
		case !ok && name == "":
			return nil, errors.New("there is an empty entry; is there a comma too many?")
		case !ok:
			return nil, fmt.Errorf("%q is not of the form name=domain", strings.TrimSpace(pair))
		case !dnsname.IsLabel1123(name):
			return nil, fmt.Errorf("federation name %q is not an RFC 1123 label", name)
		case !dnsname.IsSubdomain1123(domain):
			return nil, fmt.Errorf("domain %q of federation %q is not an RFC 1123 subdomain", domain, name)
		}
		federations[name] = domain
	}
	return federations, nil
}

// ParseNameserver parses "ADDRESS" or "ADDRESS:PORT"; an IPv6 address with a port
// stands in brackets. Names, addresses with a zone, and port 0 are errors. A server
// that is asked over TLS is written "tls://ADDRESS%NAME:PORT".
func ParseNameserver(text string) (Server, error) {
	server, err := parseServer(text)
	switch {
	case err != nil:
		return Server{}, err
	case server.Addr.Port() == 0:
		return Server{}, fmt.Errorf("%q: the port must be from 1 to 65535", text)
	}
	return server, nil
}

// parseServer parses an address with or without a port from 0 to 65535. White space
// around it is ignored.
func parseServer(text string) (Server, error) {
	text = strings.TrimSpace(text)
	if isTLS(text) {
		return parseTLSServer(text)
	}
	if addr, err := netip.ParseAddr(text); err == nil {
		return serverAt(text, addr, DefaultPort)
	}
	if hint := serverHint(text); hint != "" {
		return Server{}, fmt.Errorf("%q: %s", text, hint)
	}
	i := strings.LastIndexByte(text, ':')
	if i < 0 {
		return Server{}, fmt.Errorf("%q is not an IP address", text)
	}
	port, err := strconv.ParseUint(text[i+1:], 10, 16)
	if err != nil {
		return Server{}, fmt.Errorf("%q: %q is not a port from 1 to 65535", text, text[i+1:])
	}
	host, bracketed := text[:i], false
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host, bracketed = host[1:len(host)-1], true
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || addr.Is6() != bracketed {
		return Server{}, fmt.Errorf("%q is not an IP address with a port", text)
	}
	return serverAt(text, addr, uint16(port))
}

// serverHint says how to write a server that is given in the form of another
// program. It returns "" if it does not recognise such a form.
func serverHint(text string) string {
	if inner, ok := strings.CutPrefix(text, "["); ok && strings.HasSuffix(inner, "]") {
		return fmt.Sprintf("brackets are for an IPv6 address with a port; write %s or %s:%d",
			strings.TrimSuffix(inner, "]"), text, DefaultPort)
	}
	if host, port, ok := strings.Cut(text, "#"); ok {
		if addr, err := netip.ParseAddr(host); err == nil {
			if addr.Is6() {
				host = "[" + host + "]"
			}
			return "the port goes after a colon; write " + host + ":" + port
		}
	}
	if scheme, _, ok := strings.Cut(text, "://"); ok {
		return fmt.Sprintf("%s:// is not supported; for a server over TLS %s", scheme, tlsForm)
	}
	if len(text) >= 4 && strings.EqualFold(text[:4], "tls:") {
		return "this form is for dnscache's options; " + tlsForm
	}
	if host, name, ok := strings.Cut(text, "%"); ok {
		if addr, err := netip.ParseAddr(host); err == nil && addr.Is4() {
			return fmt.Sprintf("only a server over TLS has the name %q after %%; %s", name, tlsForm)
		}
	}
	return ""
}

// serverAt checks an address that was read from text.
func serverAt(text string, addr netip.Addr, port uint16) (Server, error) {
	addr = addr.Unmap()
	switch {
	case addr.Zone() != "":
		return Server{}, fmt.Errorf("%q: an address with a zone is not supported", text)
	case !dnsname.IsUnicast(addr):
		return Server{}, fmt.Errorf("%q is an unspecified, multicast or broadcast address, not the address of a server", text)
	}
	return Server{Addr: netip.AddrPortFrom(addr, port)}, nil
}

// parseStubServer parses a server of a stub domain, which may also be a name without
// a port.
func parseStubServer(text string) (Server, error) {
	server, err := parseServer(text)
	if err == nil || isTLS(strings.TrimSpace(text)) || serverHint(strings.TrimSpace(text)) != "" {
		return server, err
	}
	trimmed := strings.TrimSuffix(strings.TrimSpace(text), ".")
	last := trimmed[strings.LastIndexByte(trimmed, '.')+1:]
	if !dnsname.IsSubdomain1123(trimmed) || strings.Trim(last, "0123456789") == "" { // no host name ends in a number
		return Server{}, fmt.Errorf("%w, and not a DNS name without a port", err)
	}
	name, nameErr := dnsname.Parse(trimmed)
	if nameErr != nil {
		return Server{}, nameErr
	}
	return Server{Name: name}, nil
}

func parseStubDomains(text string) (map[dnsname.Name][]Server, error) {
	var raw map[string][]string
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		return nil, &formError{"object of arrays of strings", text, err}
	}
	domains := make(map[dnsname.Name][]Server, len(raw))
	for _, domain := range slices.Sorted(maps.Keys(raw)) {
		if !dnsname.IsSubdomain1123(domain) {
			return nil, fmt.Errorf("domain %q is not an RFC 1123 subdomain", domain)
		}
		name, err := dnsname.Parse(domain)
		if err != nil {
			return nil, fmt.Errorf("domain %q: %w", domain, err)
		}
		servers := make([]Server, 0, len(raw[domain]))
		for _, text := range raw[domain] {
			server, err := parseStubServer(text)
			if err != nil {
				return nil, fmt.Errorf("server of domain %q: %w", domain, err)
			}
			servers = append(servers, server)
		}
		if err := Unmixed(servers); err != nil {
			return nil, fmt.Errorf("domain %q: %w", domain, err)
		}
		domains[name] = servers
	}
	return domains, nil
}

func parseSearches(text string) ([]dnsname.Name, error) {
	raw := []string{}
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		return nil, &formError{"array of strings", text, err}
	}
	if raw == nil { // null
		raw = []string{}
	}
	return autopath.ParseSearches(raw)
}

func parseUpstream(text string) ([]Server, error) {
	var raw []string
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		return nil, &formError{"array of strings", text, err}
	}
	if len(raw) > MaxUpstreamNameservers {
		return nil, fmt.Errorf("%d servers given, at most %d are allowed", len(raw), MaxUpstreamNameservers)
	}
	servers := make([]Server, 0, len(raw))
	for _, text := range raw {
		server, err := ParseNameserver(text)
		if err != nil {
			return nil, err
		}
		servers = append(servers, server)
	}
	return servers, Unmixed(servers)
}

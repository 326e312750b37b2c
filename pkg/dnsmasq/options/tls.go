package options

import (
	"cmp"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// DefaultTLSPort is the port of DNS over TLS (RFC 7858 §3.1).
const DefaultTLSPort = 853

// ServerTLS says how a server that is asked over TLS is authenticated. It is comparable. The
// zero value means that the server is asked in clear text.
type ServerTLS struct {
	// On says whether the server is asked over TLS, or with Clear over TCP in clear text.
	On, Clear bool
	// Name is the name that the certificate must be valid for; "" means the server's address.
	Name string
	// Pins are SHA-256 digests of public keys, 32 octets each.
	Pins string
}

// Encrypted reports whether the server is asked over TLS.
func (t ServerTLS) Encrypted() bool { return t.On && !t.Clear }

// Scheme returns what stands before the address: "tls:", "tcp:" or "".
func (t ServerTLS) Scheme() string {
	switch {
	case t.Clear:
		return "tcp:"
	case t.On:
		return "tls:"
	}
	return ""
}

// tcpForm describes the valid form, for messages.
const tcpForm = "write --server=[/domain/...]tcp:ADDRESS[#PORT][@INTERFACE|@SOURCE]"

// parseTCP parses the text after "tcp:".
func parseTCP(text string) (Server, error) {
	if strings.HasPrefix(text, "//") {
		return Server{}, bad(notAServer, "%q: there must be no slashes after tcp:; %s", "tcp:"+text, tcpForm)
	}
	s, err := parseUpstream(text)
	if err != nil {
		return Server{}, err
	}
	if s.TLS.On {
		return Server{}, bad(notAServer, "%q: one of tcp: and tls: is enough; %s", "tcp:"+text, tcpForm)
	}
	if s.SourcePort != 0 {
		return Server{}, bad("bad port", "a server cannot be asked over TCP from a fixed port; %s", tcpForm)
	}
	s.TLS = ServerTLS{On: true, Clear: true}
	return s, nil
}

// tlsForm describes the valid form, for messages.
const tlsForm = "write --server=[/domain/...]tls:ADDRESS[#PORT][@INTERFACE|@SOURCE][,name=NAME][,pin=HEX64...]"

// parseTLS parses the text after "tls:".
func parseTLS(text string) (Server, error) {
	list := items(text)
	address := list[0]
	host, from, hasFrom := cut(address, '@')
	host, port, hasPort := cut(host, '#')
	if hasPort && port == "" {
		return Server{}, bad("bad port", "the port is missing; %s", tlsForm)
	}
	if n, ok := parsePort(port); hasPort && (!ok || n == 0) {
		return Server{}, bad("bad port", "%q is not a port; %s", port, tlsForm)
	}
	if strings.HasPrefix(host, "//") {
		return Server{}, bad(notAServer, "%q: there must be no slashes after tls:; %s", "tls:"+text, tlsForm)
	}
	if _, err := parseAddr(host); err != nil {
		return Server{}, notTLSAddress(host)
	}
	if before, ok := strings.CutSuffix(host, ":853"); ok && parsesAsAddr(before) {
		return Server{}, bad(notAServer, "%q ends in a port or in the last part of an address; write %s#853 or [%s]; %s", host, before, host, tlsForm)
	}
	if at, _, _ := cut(from, '#'); hasFrom && at != "" && strings.Trim(at, "0123456789") == "" {
		return Server{}, bad("bad interface name", "%q looks like a port; %s", from, tlsForm)
	}
	s, err := parseUpstream(address)
	if err != nil {
		return Server{}, err
	}
	if s.SourcePort != 0 {
		return Server{}, bad("bad port", "a TLS server cannot be asked from a fixed port; %s", tlsForm)
	}
	if !hasPort {
		s.Port = DefaultTLSPort
	}
	s.TLS.On = true
	for _, item := range list[1:] {
		if err := s.TLS.set(item); err != nil {
			return Server{}, err
		}
	}
	return s, nil
}

// notTLSAddress says what is wrong with the text in place of a TLS server's address, also
// in the forms of other programs.
func notTLSAddress(text string) error {
	if text == "" {
		return bad(notAServer, "the server's address is missing; %s", tlsForm)
	}
	if i := strings.LastIndexAny(text, "%:"); i > 0 && parsesAsAddr(text[:i]) {
		return bad(notAServer, "%q is not an address; the port follows #, and the name follows name=; %s", text, tlsForm)
	}
	return bad(notAServer, "%q is not an address, and the name of a TLS server would have to be looked up in clear text; %s", text, tlsForm)
}

// notForPlain returns an error if a server that is not asked over TLS has what only TLS
// servers have.
func notForPlain(text string) error {
	if strings.Contains(text, ",name=") || strings.Contains(text, ",pin=") {
		return bad(notAServer, "%q: only a TLS server has a name or a pin; %s", text, tlsForm)
	}
	return nil
}

// set parses name=NAME or pin=HEX64.
func (t *ServerTLS) set(item string) error {
	key, value, found := cut(item, '=')
	switch {
	case found && key == "name":
		if t.Name != "" {
			return bad("", "name= is given twice; %s", tlsForm)
		}
		name := strings.ToLower(strings.TrimSuffix(value, "."))
		if _, err := netip.ParseAddr(name); err != nil && !dnsname.IsSubdomain1123(name) {
			return bad("", "%q is not a name that a certificate can be valid for; %s", value, tlsForm)
		}
		t.Name = name
	case found && key == "pin":
		pin, err := hex.DecodeString(value)
		if err != nil || len(pin) != pinLen {
			return bad("", "pin %q is not a SHA-256 digest in 64 hexadecimal digits; %s", value, tlsForm)
		}
		if !slices.Contains(t.pins(), string(pin)) {
			t.Pins += string(pin)
		}
	default:
		return bad("", "unknown part %q of a TLS server; %s", item, tlsForm)
	}
	return nil
}

// pinLen is the length of a SHA-256 digest in octets.
const pinLen = 32

// pins returns the pins as separate strings of pinLen octets.
func (t *ServerTLS) pins() []string {
	var list []string
	for rest := t.Pins; len(rest) >= pinLen; rest = rest[pinLen:] {
		list = append(list, rest[:pinLen])
	}
	return list
}

// suffix returns the part of the option after address and port.
func (t *ServerTLS) suffix() string {
	var b strings.Builder
	if t.Name != "" {
		b.WriteString(",name=" + t.Name)
	}
	for _, pin := range t.pins() {
		b.WriteString(",pin=" + hex.EncodeToString([]byte(pin)))
	}
	return b.String()
}

// slashedTLS returns an error for the form of other programs, tls://ADDRESS: after a list of
// domains, its slashes would end that list, and the server would be asked in clear text. It
// also returns an error for other schemes, such as https://.
func slashedTLS(value string) error {
	i := strings.Index(value, "://")
	if i < 0 {
		return nil
	}
	scheme := value[strings.LastIndexByte(value[:i], '/')+1 : i]
	if strings.EqualFold(scheme, "tls") {
		return bad(notAServer, "%q: tls:// is only valid in the ConfigMap; %s", value, tlsForm)
	}
	if strings.EqualFold(scheme, "tcp") {
		return bad(notAServer, "%q: there must be no slashes after tcp:; %s", value, tcpForm)
	}
	if scheme == "" || strings.ContainsFunc(scheme, func(r rune) bool { return (r|0x20 < 'a' || r|0x20 > 'z') && (r < '0' || r > '9') }) {
		return nil
	}
	return bad(notAServer, "%q: %s:// is not supported; for DNS over TLS %s", value, scheme, tlsForm)
}

// tlsInSlash returns an error if a slash has cut the value of a TLS server.
func tlsInSlash(domains []dnsname.Domain, rest string) error {
	for _, d := range domains {
		text := strings.ToLower(d.String())
		if strings.HasPrefix(text, "tcp:") {
			return bad(notAServer, "%q: the value of a TCP server must not contain a slash; %s", text+"/.../"+rest, tcpForm)
		}
		if strings.HasPrefix(text, "tls:") {
			return bad(notAServer, "%q: the value of a TLS server must not contain a slash; %s", text+"/.../"+rest, tlsForm)
		}
	}
	return nil
}

// mixedServers returns a TLS server and a plain one that are asked for the same names, or ""
// if there are none. resolv says whether the servers of resolv.conf are asked for names in
// no server's domain. A domain that goes to the standard servers ("#") has theirs, too.
func mixedServers(servers []Server, resolv bool) (secure, plain string) {
	all := kinds{}
	if resolv {
		all.plain = "the servers of resolv.conf (add --no-resolv)"
	}
	for _, s := range servers {
		if s.Domain.Match == dnsname.MatchAll {
			all = all.with(s)
		}
	}
	first := map[dnsname.Domain]kinds{{}: all}
	for _, s := range servers {
		of := first[s.Domain].with(s)
		if s.Kind == ServerStandard {
			of = kinds{cmp.Or(of.secure, all.secure), cmp.Or(of.plain, all.plain)}
		}
		if of.secure != "" && of.plain != "" {
			return of.secure, of.plain
		}
		first[s.Domain] = of
	}
	return "", ""
}

// kinds are the first TLS server and the first plain one of a domain, "" for none.
type kinds struct{ secure, plain string }

// with returns k with s, if s is asked and the first of its kind.
func (k kinds) with(s Server) kinds {
	switch {
	case s.Kind != ServerAsk:
	case s.TLS.Encrypted():
		k.secure = cmp.Or(k.secure, "--server="+s.String())
	default:
		k.plain = cmp.Or(k.plain, "--server="+s.String())
	}
	return k
}

package dnsmasqopt

import (
	"strings"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// Match says which names a [Domain] stands for.
type Match uint8

// The forms of a domain in --server, --address and their like.
const (
	// MatchAll is "#" or "*", or no list of domains: every name.
	MatchAll Match = iota
	// MatchSuffix is "x.y": the name and everything below it.
	MatchSuffix
	// MatchBelow is "*.x.y": everything below the name, not the name itself.
	MatchBelow
	// MatchText is "*text": names whose presentation form ends with the text,
	// whatever label it cuts through.
	MatchText
	// MatchUnqualified is the empty name of "//": names of one label.
	MatchUnqualified
)

// Domain is one name of a /list/of/domains/. It is comparable.
type Domain struct {
	Match Match
	// Name is set for MatchSuffix and MatchBelow.
	Name dnsname.Name
	// Text is set for MatchText: lower case, without a trailing dot.
	Text string
}

// String returns the domain as it stands in an option.
func (d Domain) String() string {
	switch d.Match {
	case MatchSuffix:
		return strings.TrimSuffix(d.Name.String(), ".")
	case MatchBelow:
		return "*." + strings.TrimSuffix(d.Name.String(), ".")
	case MatchText:
		return "*" + d.Text
	case MatchUnqualified:
		return ""
	default:
		return "#"
	}
}

// cutDomains splits "/a/b/rest" into its domains and the rest. Without a
// leading slash it returns one domain of every name.
func cutDomains(value string) ([]Domain, string, error) {
	if !strings.HasPrefix(value, "/") {
		return []Domain{{Match: MatchAll}}, value, nil
	}
	last := strings.LastIndexByte(value, '/')
	if last == 0 {
		return nil, "", bad("Name or service not known", "the list of domains needs a slash at its end")
	}
	var domains []Domain
	for name := range strings.SplitSeq(value[1:last], "/") {
		d, err := parseDomain(unhide(name))
		if err != nil {
			return nil, "", err
		}
		domains = append(domains, d)
	}
	return domains, value[last+1:], nil
}

// parseDomain reads one name of a list of domains.
func parseDomain(text string) (Domain, error) {
	switch text {
	case "":
		return Domain{Match: MatchUnqualified}, nil
	case "#", "*":
		return Domain{Match: MatchAll}, nil
	}
	if rest, ok := strings.CutPrefix(text, "*."); ok {
		name, err := parseName(rest)
		return Domain{Match: MatchBelow, Name: name}, err
	}
	if rest, ok := strings.CutPrefix(text, "*"); ok {
		name, err := parseName(rest)
		if err != nil {
			return Domain{}, err
		}
		return Domain{Match: MatchText, Text: strings.TrimSuffix(name.String(), ".")}, nil
	}
	text = strings.TrimPrefix(text, ".")
	if strings.HasPrefix(text, "*") {
		return Domain{}, bad("", "%q: nothing stands before a wildcard", "."+text)
	}
	name, err := parseName(text)
	return Domain{Match: MatchSuffix, Name: name}, err
}

// parseName reads a domain name of an option. "" and "." are not names there.
func parseName(text string) (dnsname.Name, error) {
	for i := range len(text) {
		if text[i] >= 0x80 {
			return "", bad("", "%q: write the xn-- form of names outside ASCII", text)
		}
		if text[i] <= ' ' || text[i] == 0x7f {
			return "", bad("", "%q: blank or control character in a name", text)
		}
	}
	if text == "" || text == "." {
		return "", bad("", "empty name")
	}
	name, err := dnsname.Parse(text)
	if err != nil {
		return "", bad("", "%v", err)
	}
	return name, nil
}

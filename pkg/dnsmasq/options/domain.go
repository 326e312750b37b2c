package options

import (
	"strings"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// cutDomains splits "/a/b/rest" into its domains and the rest. Without a leading slash,
// it returns the domain of all names.
func cutDomains(value string) ([]dnsname.Domain, string, error) {
	if !strings.HasPrefix(value, "/") {
		return []dnsname.Domain{{Match: dnsname.MatchAll}}, value, nil
	}
	list := split(strings.TrimLeft(value[1:], " "), '/')
	last := len(list) - 1
	if last == 0 {
		return nil, "", bad("Name or service not known", "the list of domains must end with a slash")
	}
	var domains []dnsname.Domain
	for _, name := range list[:last] {
		d, err := parseDomain(unhide(name))
		if err != nil {
			return nil, "", err
		}
		domains = append(domains, d)
	}
	return domains, list[last], nil
}

// parseDomain parses one domain of a list.
func parseDomain(text string) (dnsname.Domain, error) {
	switch text {
	case "":
		return dnsname.Domain{Match: dnsname.MatchUnqualified}, nil
	case "#", "*", ".", "..":
		return dnsname.Domain{Match: dnsname.MatchAll}, nil
	}
	if rest, ok := strings.CutPrefix(text, "*."); ok {
		name, err := parseName(rest)
		return dnsname.Domain{Match: dnsname.MatchBelow, Name: name}, err
	}
	if rest, ok := strings.CutPrefix(text, "*"); ok {
		name, err := parseName(rest)
		if err != nil {
			return dnsname.Domain{}, err
		}
		return dnsname.Domain{Match: dnsname.MatchText, Text: strings.TrimSuffix(name.String(), ".")}, nil
	}
	text = strings.TrimPrefix(text, ".")
	if strings.HasPrefix(text, "*") {
		return dnsname.Domain{}, bad("", "%q: a wildcard must be at the beginning", "."+text)
	}
	name, err := parseName(text)
	return dnsname.Domain{Match: dnsname.MatchSuffix, Name: name}, err
}

// parseName parses the domain name of an option. "" and "." are not names.
func parseName(text string) (dnsname.Name, error) {
	for i := range len(text) {
		if text[i] >= 0x80 {
			return "", bad("", "%q is not ASCII; write the name in its xn-- form", text)
		}
		if text[i] < ' ' || text[i] == 0x7f {
			return "", bad("", "%q: a name must not contain control characters", text)
		}
	}
	switch {
	case text == "" || text == ".":
		return "", bad("", "the name is empty")
	case text[0] == ' ' || text[len(text)-1] == ' ':
		return "", bad("", "%q: a name must not begin or end with a space", text)
	}
	name, err := dnsname.Parse(text)
	if err != nil {
		return "", bad("", "%v", err)
	}
	return name, nil
}

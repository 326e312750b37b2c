package options

import (
	"strings"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// cutDomains splits "/a/b/rest" into its domains and the rest. Without a
// leading slash it returns one domain of every name.
func cutDomains(value string) ([]dnsname.Domain, string, error) {
	if !strings.HasPrefix(value, "/") {
		return []dnsname.Domain{{Match: dnsname.MatchAll}}, value, nil
	}
	list := split(strings.TrimLeft(value[1:], " "), '/')
	last := len(list) - 1
	if last == 0 {
		return nil, "", bad("Name or service not known", "the list of domains needs a slash at its end")
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

// parseDomain reads one name of a list of domains.
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
		return dnsname.Domain{}, bad("", "%q: nothing stands before a wildcard", "."+text)
	}
	name, err := parseName(text)
	return dnsname.Domain{Match: dnsname.MatchSuffix, Name: name}, err
}

// parseName reads a domain name of an option. "" and "." are not names there.
func parseName(text string) (dnsname.Name, error) {
	for i := range len(text) {
		if text[i] >= 0x80 {
			return "", bad("", "%q: write the xn-- form of names outside ASCII", text)
		}
		if text[i] < ' ' || text[i] == 0x7f {
			return "", bad("", "%q: control character in a name", text)
		}
	}
	switch {
	case text == "" || text == ".":
		return "", bad("", "empty name")
	case text[0] == ' ' || text[len(text)-1] == ' ':
		return "", bad("", "%q: blank at the start or end of a name", text)
	}
	name, err := dnsname.Parse(text)
	if err != nil {
		return "", bad("", "%v", err)
	}
	return name, nil
}

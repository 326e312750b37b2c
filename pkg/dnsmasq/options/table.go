package options

import (
	"slices"
	"strings"
)

// Status says what dnscache does with an option.
type Status uint8

// Refused is the zero value: an option does nothing until somebody says so.
const (
	// Refused options end the program with an error that gives the reason.
	Refused Status = iota
	// Accepted options are read and change nothing here, for the reason given.
	Accepted
	// Implemented options do what they do in dnsmasq.
	Implemented
)

// String returns the word that the documentation uses.
func (s Status) String() string {
	switch s {
	case Implemented:
		return "implemented"
	case Accepted:
		return "accepted"
	default:
		return "refused"
	}
}

// Argument says whether an option takes a value.
type Argument uint8

// The kinds of getopt_long. An optional value of a long option is only taken
// after "="; the short form of such an option needs its value unless Spec says
// that it is bare.
const (
	NoArgument Argument = iota
	RequiredArgument
	OptionalArgument
)

// Repeat says how often an option may be given.
type Repeat uint8

const (
	// Many may be repeated, each use adds to the others.
	Many Repeat = iota
	// Once may be given once on the command line, and once more in a file,
	// which then wins.
	Once
)

// Spec is one row of the option table.
type Spec struct {
	// Name is the long name without dashes.
	Name string
	// Short is the one-letter form, 0 when there is none.
	Short byte
	// Arg is the kind of value, Param its name in the help text.
	Arg   Argument
	Param string
	// ShortBare is whether the short form takes no value although the long
	// form may.
	ShortBare bool
	Repeat    Repeat
	Status    Status
	// Own marks options that dnsmasq does not have.
	Own bool
	// Default is the value without the option, "" when that is "off".
	Default string
	// Help says in one line what the option does here; for Accepted and
	// Refused options, why nothing is done.
	Help string

	// set applies the option. It is nil for options that are not implemented,
	// but may be set for Accepted ones whose value must still be well formed.
	set setter
}

// setter applies one use of an option. given is false when an optional value
// was left out.
type setter func(p *parser, value string, given bool) error

// Table returns every option in the order of the help text. The caller owns
// the slice.
func Table() []Spec {
	var all []Spec
	for _, s := range sections() {
		all = append(all, s.specs...)
	}
	return all
}

// section is a part of the table with its title.
type section struct {
	title string
	specs []Spec
}

func sections() []section {
	return []section{
		{"Process and logs", processOptions()},
		{"Listening", listenOptions()},
		{"Upstream servers", upstreamOptions()},
		{"Cache", cacheOptions()},
		{"Filters", filterOptions()},
		{"Local data", localOptions()},
		{"Local records", recordOptions()},
		{"Options that dnsmasq does not have", ownOptions()},
		{"Integration with the system", integrationOptions()},
		{"DNSSEC", dnssecOptions()},
		{"Authoritative zones", authOptions()},
		{"DHCP, router advertisements and TFTP", dhcpOptions()},
	}
}

// index finds options by their names.
type index struct {
	specs []Spec
	long  map[string]*Spec
	short map[byte]*Spec
}

func newIndex() *index {
	x := &index{specs: Table(), long: map[string]*Spec{}, short: map[byte]*Spec{}}
	for i := range x.specs {
		s := &x.specs[i]
		x.long[s.Name] = s
		if s.Short != 0 {
			x.short[s.Short] = s
		}
	}
	return x
}

// abbreviation finds the option that a long name or an unambiguous beginning
// of it means, by the rules of getopt_long. Options of our own never make an
// abbreviation of a dnsmasq option ambiguous. With several candidates it
// returns their names.
func (x *index) abbreviation(name string) (spec *Spec, candidates []string) {
	if s, ok := x.long[name]; ok {
		return s, nil
	}
	if name == "" {
		return nil, nil
	}
	for _, own := range []bool{false, true} {
		var found []*Spec
		for i := range x.specs {
			s := &x.specs[i]
			if s.Own == own && strings.HasPrefix(s.Name, name) {
				found = append(found, s)
			}
		}
		switch {
		case len(found) == 1, len(found) == 2 && synonyms(found[0].Name, found[1].Name):
			return found[0], nil
		case len(found) > 1:
			for _, s := range found {
				candidates = append(candidates, "--"+s.Name)
			}
			slices.Sort(candidates)
			return nil, candidates
		}
	}
	return nil, nil
}

// synonyms reports whether two names stand for the same option in dnsmasq, so
// that getopt_long does not call a common beginning ambiguous.
func synonyms(a, b string) bool {
	return strings.HasPrefix(a, "domain") && strings.HasPrefix(b, "domain") &&
		a != "domain-needed" && b != "domain-needed"
}

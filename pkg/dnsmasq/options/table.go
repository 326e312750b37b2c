package options

import (
	"slices"
	"strings"
)

// Status says how dnscache treats an option.
type Status uint8

// Refused is the zero value, so that an option must be declared to have an effect.
const (
	// Refused options are errors that end the program; the message gives the reason.
	Refused Status = iota
	// Accepted options are parsed but have no effect, for the reason given in Help.
	Accepted
	// Implemented options have the same effect as in dnsmasq.
	Implemented
)

// Argument says whether an option takes a value.
type Argument uint8

// The kinds of arguments of getopt_long. An optional value of a long option must follow
// "="; the short form of such an option needs a value unless Spec.ShortBare is true.
const (
	NoArgument Argument = iota
	RequiredArgument
	OptionalArgument
)

// Repeat says how often an option may be given.
type Repeat uint8

const (
	// Many means that the option may be repeated; each use adds to the others.
	Many Repeat = iota
	// Once means that the option may be given once on the command line and once in a file,
	// which takes precedence.
	Once
)

// Spec is one row of the option table.
type Spec struct {
	// Name is the long name without dashes.
	Name string
	// Short is the one-letter form; 0 means that there is none.
	Short byte
	// Arg says whether the option takes a value.
	Arg Argument
	// Param is the name of the value in the help text.
	Param string
	// ShortBare says whether the short form takes no value although the long form may.
	ShortBare bool
	// Repeat says how often the option may be given.
	Repeat Repeat
	// Status says how dnscache treats the option.
	Status Status
	// Own is true for options that dnsmasq does not have.
	Own bool
	// Default is the value if the option is not given; "" means off.
	Default string
	// Help says in one line what the option does in dnscache or, if it is Accepted or
	// Refused, why it does nothing.
	Help string

	// set applies the option. It is nil if the option is not implemented, except for
	// Accepted options whose value is checked.
	set setter
}

// setter applies one use of an option. given is false if an optional value is missing.
type setter func(p *parser, value string, given bool) error

// Table returns all options in the order of the help text. The caller owns the slice.
func Table() []Spec {
	var all []Spec
	for _, s := range sections() {
		all = append(all, s.specs...)
	}
	return all
}

// section is a part of the table, with a title.
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

// abbreviation finds an option by its long name or by an unambiguous prefix of it, by the
// rules of getopt_long. Our own options never make an abbreviation of a dnsmasq option
// ambiguous. If the abbreviation is ambiguous, it returns the names of the candidates.
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

// synonyms reports whether two names are the same option in dnsmasq, so that for getopt_long
// a common prefix is not ambiguous.
func synonyms(a, b string) bool {
	return strings.HasPrefix(a, "domain") && strings.HasPrefix(b, "domain") &&
		a != "domain-needed" && b != "domain-needed"
}

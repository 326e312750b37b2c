package options

import "strings"

// use is one option as given on the command line or in a file.
type use struct {
	spec  *Spec
	shown string // the option as written, for messages
	value string
	given bool // whether there is a value
}

// argv reads arguments by the rules of getopt_long. It calls found for each option and
// wrong for each fault, and returns the arguments that belong to no option. It stops
// when found returns false.
func (x *index) argv(args []string, found func(use) bool, wrong func(shown string, err error)) (junk []string) {
	for i := 0; i < len(args); i++ {
		word := args[i]
		switch {
		case word == "--":
			return append(junk, args[i+1:]...)
		case strings.HasPrefix(word, "--"):
			u, err := x.longOption(word[2:])
			if err == nil && u.spec.Arg == RequiredArgument && !u.given {
				if i+1 == len(args) {
					err = bad("", "needs a value")
				} else {
					i++
					u.value, u.given = args[i], true
				}
			}
			if err != nil {
				name, _, _ := strings.Cut(word, "=")
				wrong(name, err)
			} else if !found(u) {
				return junk
			}
		case len(word) > 1 && word[0] == '-':
			taken, goOn := x.shortOptions(word[1:], args[i+1:], found, wrong)
			if !goOn {
				return junk
			}
			i += taken
		case word != "":
			// dnsmasq ignores empty arguments, which result from unset shell variables.
			junk = append(junk, word)
		}
	}
	return junk
}

// longOption parses one argument, given without its dashes.
func (x *index) longOption(word string) (use, error) {
	name, value, given := strings.Cut(word, "=")
	spec, candidates := x.abbreviation(name)
	switch {
	case len(candidates) > 0:
		return use{}, bad("", "ambiguous, could be %s", strings.Join(candidates, " "))
	case spec == nil:
		return use{}, bad("", "unknown option")
	case given && spec.Arg == NoArgument && spec.Status != Refused:
		return use{}, bad("", "takes no value")
	}
	return use{spec: spec, shown: "--" + spec.Name, value: value, given: given}, nil
}

// shortOptions parses one argument with short options. rest are the arguments after it,
// of which it uses the first taken. goOn is false if found returned false.
func (x *index) shortOptions(word string, rest []string, found func(use) bool, wrong func(string, error)) (taken int, goOn bool) {
	for j := 0; j < len(word); j++ {
		shown := "-" + word[j:j+1]
		spec := x.short[word[j]]
		if spec == nil {
			wrong(shown, bad("", "unknown option"))
			continue
		}
		u := use{spec: spec, shown: shown}
		if spec.Arg != NoArgument && !spec.ShortBare {
			switch {
			case j+1 < len(word):
				u.value = word[j+1:]
			case len(rest) > 0:
				u.value, taken = rest[0], 1
			default:
				wrong(shown, bad("", "needs a value"))
				return 0, true
			}
			u.given = true
			j = len(word)
		}
		if !found(u) {
			return taken, false
		}
	}
	return taken, true
}

// Parse parses a command line without the program's name, and then the configuration
// files that it names. If there are faults, it returns all of them (see [Faults] and
// [Report]), and the options must not be used. If Help or Version is true in the result,
// the arguments after that option have not been read.
func Parse(args []string, files Files) (*Options, error) { return newParser(files).all(args) }

// ParseAfterNanny is [Parse] for the arguments after the flags of dnsmasq-nanny. The
// default of --lameduck is [NannyLameduck].
func ParseAfterNanny(args []string, files Files) (*Options, error) {
	p := newParser(files)
	p.o.Own.Lameduck = NannyLameduck
	return p.all(args)
}

// junk returns the message about an argument that belongs to no option.
func junk(word string) string {
	if hint := typography(word); hint != "" {
		return printable(word) + ": not an option; " + hint
	}
	return printable(word) + ": not an option; options begin with --, and a value with spaces needs quotation marks"
}

// all parses a command line and the files that it names.
func (p *parser) all(args []string) (*Options, error) {
	done := false
	words := p.index.argv(args, func(u use) bool {
		p.apply(u, source{})
		done = (p.o.Help || p.o.Version) && len(p.faults) == 0
		return !done
	}, func(shown string, err error) {
		p.addFault(source{}.fault(shown, err))
	})
	if done {
		return p.o, nil
	}
	for _, word := range words {
		p.addFault(&Fault{Text: "junk found in command line", Detail: junk(word), Exit: ExitConfig})
	}
	p.readPending()
	p.o.Upstream.NoResolv = p.o.Upstream.NoResolv || len(p.o.Upstream.ResolvFiles) == 0
	p.resolvDomain()
	if err := p.o.Validate(); err != nil {
		p.addFault(err)
	}
	return p.o, p.err()
}

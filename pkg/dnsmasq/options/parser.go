package options

import (
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"slices"
	"strings"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// parser collects one configuration. Only one goroutine uses it.
type parser struct {
	// index finds options by name.
	index *index
	// files gives access to configuration files.
	files Files
	// o is the result.
	o *Options
	// faults are the first faults, at most maxFaults, and more is the number of further ones.
	faults []error
	more   int // see faults
	// onLine and inFile hold the options with Repeat Once that have been given on the
	// command line and in files.
	onLine, inFile map[string]bool
	// resolvGiven says whether --resolv-file has replaced the default.
	resolvGiven bool
	// pending read the files that the command line has named, in order.
	pending []func()
	// confGiven says whether --conf-file has replaced the default file.
	confGiven bool
	// read holds the paths of the files that have been read; none is read twice.
	read map[string]bool
	// added has the place in its list of every item that addNew has added, by the hash of a
	// listKey with seed. A key itself has hundreds of octets, and there may be many.
	added map[uint64]int
	seed  maphash.Seed // see added
	// aliases holds the names of all --cname, which must not be repeated.
	aliases map[dnsname.Domain]bool
	// depth counts the configuration files that are being read and include each other.
	depth int
	// fromScript counts the programs of --conf-script whose output is being read.
	fromScript int
	// at says where the option that is being applied was given.
	at source
}

func newParser(files Files) *parser {
	return &parser{
		index:   newIndex(),
		files:   files,
		o:       Defaults(),
		onLine:  map[string]bool{},
		inFile:  map[string]bool{},
		read:    map[string]bool{},
		added:   map[uint64]int{},
		seed:    maphash.MakeSeed(),
		aliases: map[dnsname.Domain]bool{},
	}
}

// A file that is no configuration file has a fault on each line. The first maxFaults are reported;
// after maxMore further ones, the rest of the file is not read.
const (
	maxFaults = 20
	maxMore   = 10_000
)

// addFault records a fault.
func (p *parser) addFault(err error) {
	if len(p.faults) < maxFaults {
		p.faults = append(p.faults, err)
	} else {
		p.more++
	}
}

// err returns all faults, joined.
func (p *parser) err() error {
	if p.more > 0 {
		return errors.Join(append(p.faults, &Fault{Text: fmt.Sprintf("%d more errors", p.more), Exit: ExitConfig})...)
	}
	return errors.Join(p.faults...)
}

// apply checks the repeat rule and the status of an option, then sets it.
func (p *parser) apply(u use, at source) {
	err := p.repeat(u.spec, at)
	if u.spec.Status == Refused {
		err = refusal(u.spec, at)
	}
	if err != nil {
		p.addFault(at.fault(u.shown, err))
		return
	}
	if u.spec.set == nil {
		return
	}
	p.at = at
	if err := u.spec.set(p, u.value, u.given); err != nil {
		shown := u.shown
		if u.given && u.value != "" {
			shown = fmt.Sprintf("%s=%s", u.shown, printable(unhide(u.value)))
		}
		if fault, ok := err.(*Fault); ok { //nolint:errorlint // a setter's own fault, never wrapped
			p.addFault(fault)
			return
		}
		p.addFault(at.fault(shown, err))
	}
}

// refusal returns the error for a refused option: dnsmasq's text for an unknown option, with
// the reason.
func refusal(spec *Spec, at source) error {
	text := ""
	if at.file != "" {
		text = "bad option"
	}
	return &badValue{text: text, hint: "not supported: " + spec.Help + "; remove the option"}
}

// repeat returns an error if an option with Repeat Once is given again.
func (p *parser) repeat(spec *Spec, at source) error {
	if spec.Repeat != Once {
		return nil
	}
	seen, text := p.onLine, "illegal repeated flag"
	if at.file != "" {
		seen, text = p.inFile, "illegal repeated keyword"
	}
	if seen[spec.Name] {
		return bad(text, "")
	}
	seen[spec.Name] = true
	return nil
}

// printable replaces control characters, for messages that contain arguments.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}

// inTurn calls read, which reads what an option names: at once if the option is in a file, and
// after the command line otherwise.
func (p *parser) inTurn(read func()) {
	if p.at.file != "" {
		read()
		return
	}
	p.pending = append(p.pending, read)
}

// readPending reads the default configuration file, unless --conf-file has replaced it, and
// the files and directories that the command line has named.
func (p *parser) readPending() {
	if !p.confGiven {
		if data, err := p.files.ReadFile(DefaultConfFile); err == nil {
			p.read[DefaultConfFile] = true
			p.lines(DefaultConfFile, data)
		} else if !errors.Is(err, fs.ErrNotExist) {
			p.addFault(unreadable(DefaultConfFile, err))
		}
	}
	for _, read := range p.pending {
		read()
	}
}

// maxDepth is how deep configuration files may include each other.
const maxDepth = 16

// readFile reads one configuration file, unless it has been read before.
func (p *parser) readFile(path string) {
	if path == "" || p.read[path] {
		return
	}
	if p.depth >= maxDepth {
		p.addFault(&Fault{Text: "cannot read " + path + ": too many nested files", Exit: ExitFile})
		return
	}
	data, err := p.files.ReadFile(path)
	if err != nil {
		p.addFault(unreadable(path, err))
		return
	}
	p.read[path] = true
	p.depth++
	script := p.fromScript
	p.fromScript = 0
	p.lines(path, data)
	p.fromScript = script
	p.depth--
}

// readDir reads the files in a configuration directory that rules select.
func (p *parser) readDir(path string, rules []string) {
	if path == "" {
		return
	}
	names, err := p.files.ReadDir(path)
	if err != nil {
		p.addFault(&Fault{
			Text: fmt.Sprintf("cannot access directory %s: %s", path, reason(err)),
			Exit: ExitFile,
		})
		return
	}
	for _, name := range SelectNames(names, rules) {
		p.readFile(strings.TrimSuffix(path, "/") + "/" + name)
	}
}

// SelectNames applies the rules of --conf-dir. It returns the names in byte order, without
// editors' backup files. A rule "*.conf" selects a suffix, a rule ".bak" excludes one.
func SelectNames(names, rules []string) []string {
	var include, exclude []string
	for _, r := range rules {
		if suffix, ok := strings.CutPrefix(r, "*"); ok {
			if suffix != "" {
				include = append(include, suffix)
			}
		} else if r != "" {
			exclude = append(exclude, r)
		}
	}
	hasSuffix := func(name string) func(string) bool {
		return func(suffix string) bool { return len(name) > len(suffix) && strings.HasSuffix(name, suffix) }
	}
	var selected []string
	for _, name := range names {
		switch {
		case name == "", strings.HasPrefix(name, "."), strings.HasSuffix(name, "~"),
			strings.HasPrefix(name, "#") && strings.HasSuffix(name, "#"),
			len(include) > 0 && !slices.ContainsFunc(include, hasSuffix(name)),
			slices.ContainsFunc(exclude, hasSuffix(name)):
		default:
			selected = append(selected, name)
		}
	}
	slices.Sort(selected)
	return selected
}

package options

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// parser collects one configuration.
type parser struct {
	index  *index
	files  Files
	o      *Options
	faults []error

	// onLine and inFile are the once-options that were given.
	onLine, inFile map[string]bool
	// resolvGiven is whether --resolv-file replaced the default.
	resolvGiven bool
	// pending are the files that the command line named, in order.
	pending   []pendingFile
	confGiven bool
	// read are the files that were read, so that none is read twice.
	read map[string]bool
	// added holds a listKey of every item that addNew has added.
	added map[any]bool
	// aliases are the names of all --cname, which must not be repeated.
	aliases map[dnsname.Domain]bool
	// depth counts files that include each other.
	depth int
	// fromScript counts programs of --conf-script whose output is being read.
	fromScript int
	// at is the option that is being applied.
	at place
}

func newParser(files Files) *parser {
	return &parser{
		index:   newIndex(),
		files:   files,
		o:       Defaults(),
		onLine:  map[string]bool{},
		inFile:  map[string]bool{},
		read:    map[string]bool{},
		added:   map[any]bool{},
		aliases: map[dnsname.Domain]bool{},
	}
}

// apply checks the repeat rule and the status of an option, then sets it.
func (p *parser) apply(u use, at place) {
	if err := p.repeat(u.spec, at); err != nil {
		p.faults = append(p.faults, at.fault(u.shown, err))
		return
	}
	if u.spec.Status == Refused {
		p.faults = append(p.faults, at.fault(u.shown, refusal(u.spec, at)))
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
			p.faults = append(p.faults, fault)
			return
		}
		p.faults = append(p.faults, at.fault(shown, err))
	}
}

// refusal says why an option is refused, in the words that dnsmasq has for an
// option that it does not know.
func refusal(spec *Spec, at place) error {
	text := ""
	if at.file != "" {
		text = "bad option"
	}
	return &badValue{text: text, hint: "not supported: " + spec.Help + "; remove the option"}
}

// repeat enforces the rule of options that may be given once.
func (p *parser) repeat(spec *Spec, at place) error {
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

// printable keeps control characters of arguments out of messages.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}

// pendingFile is a file or directory to read after the command line.
type pendingFile struct {
	path  string
	rules []string // suffix rules of --conf-dir
	dir   bool
	// script is whether path is the command of --conf-script.
	script bool
}

// readPending reads the default file unless another was named, and the files
// and directories that the command line named.
func (p *parser) readPending() {
	pending := p.pending
	if !p.confGiven {
		if data, err := p.files.ReadFile(DefaultConfFile); err == nil {
			p.read[DefaultConfFile] = true
			p.lines(DefaultConfFile, data)
		} else if !notExist(err) {
			p.faults = append(p.faults, unreadable(DefaultConfFile, err))
		}
	}
	for _, f := range pending {
		switch {
		case f.dir:
			p.readDir(f)
		case f.script:
			p.readScript(f.path)
		default:
			p.readFile(f.path)
		}
	}
}

// maxDepth bounds configuration files that include each other; dnsmasq stops
// by inode.
const maxDepth = 16

// readFile reads one configuration file, unless it was read before.
func (p *parser) readFile(path string) {
	if path == "" || p.read[path] {
		return
	}
	if p.depth >= maxDepth {
		p.faults = append(p.faults, &Fault{Text: "cannot read " + path + ": too many nested files", Exit: ExitFile})
		return
	}
	data, err := p.files.ReadFile(path)
	if err != nil {
		p.faults = append(p.faults, unreadable(path, err))
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

// readDir reads the files of a configuration directory that its rules select.
func (p *parser) readDir(f pendingFile) {
	if f.path == "" {
		return
	}
	names, err := p.files.ReadDir(f.path)
	if err != nil {
		p.faults = append(p.faults, &Fault{
			Text: fmt.Sprintf("cannot access directory %s: %s", f.path, reason(err)),
			Exit: ExitFile,
		})
		return
	}
	for _, name := range selectNames(names, f.rules) {
		p.readFile(strings.TrimSuffix(f.path, "/") + "/" + name)
	}
}

// selectNames applies the rules of --conf-dir: names in byte order; editors'
// leftovers are skipped; a rule "*.conf" selects a suffix, a rule ".bak"
// excludes one.
func selectNames(names, rules []string) []string {
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

package options

import (
	"errors"
	"fmt"
	"strings"
)

// dnsmasq's exit codes that a configuration can cause.
const (
	ExitConfig  = 1 // a bad option or value
	ExitNetwork = 2 // a socket
	ExitFile    = 3 // a file or directory that cannot be read
	ExitOther   = 5
)

// Fault is one thing that is wrong with a configuration.
type Fault struct {
	// Text is the message in dnsmasq's words.
	Text string
	// Detail says which option or value is meant, and what to do; it may be
	// empty.
	Detail string
	// Exit is the exit code that dnsmasq uses for it.
	Exit int
}

// Error returns Text and Detail in one line.
func (f *Fault) Error() string {
	if f.Detail == "" {
		return f.Text
	}
	return f.Text + " (" + f.Detail + ")"
}

// Faults returns every Fault in err, in order. Errors of another type become
// faults with [ExitConfig]. It returns nil for nil.
func Faults(err error) []*Fault {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []*Fault
		for _, e := range joined.Unwrap() {
			all = append(all, Faults(e)...)
		}
		return all
	}
	if fault, ok := errors.AsType[*Fault](err); ok {
		return []*Fault{fault}
	}
	return []*Fault{{Text: err.Error(), Exit: ExitConfig}}
}

// Report writes faults as dnsmasq does: the first in its own words after an
// empty line, then, when there is more to say, one line for each. It returns
// the exit code of the first.
func Report(program string, err error) (text string, exit int) {
	faults := Faults(err)
	if len(faults) == 0 {
		return "", 0
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s: %s\n", program, faults[0].Text)
	for i, f := range faults {
		switch {
		case f.Detail != "":
			fmt.Fprintf(&b, "%s: %s\n", program, f.Detail)
		case i > 0:
			fmt.Fprintf(&b, "%s: %s\n", program, f.Text)
		}
	}
	return b.String(), faults[0].Exit
}

// badValue is an error about an option's value. Its text is dnsmasq's, "" for
// dnsmasq's general complaint; hint says more when dnsmasq's text does not.
type badValue struct {
	text string
	hint string
}

func (e *badValue) Error() string {
	switch {
	case e.text == "":
		return e.hint
	case e.hint == "":
		return e.text
	}
	return e.text + ": " + e.hint
}

// bad returns dnsmasq's text for a value, with our hint.
func bad(text, hint string, args ...any) error {
	return &badValue{text: text, hint: fmt.Sprintf(hint, args...)}
}

// place is where an option was given.
type place struct {
	file string // "" for the command line
	line int
	// script is whether file is a program that printed the line.
	script bool
}

// fault puts an error about one option into dnsmasq's words. general is used
// for values that dnsmasq has no text for.
func (p place) fault(shown string, err error) *Fault {
	f := &Fault{Exit: ExitConfig}
	value, ok := errors.AsType[*badValue](err)
	text := ""
	if ok {
		text = value.text
	} else {
		text = err.Error()
	}
	if p.file == "" {
		if text == "" {
			text = "try --help"
		}
		f.Text = "bad command line options: " + text
	} else {
		if text == "" {
			text = "error"
		}
		f.Text = fmt.Sprintf("%s at line %d of %s", text, p.line, p.file)
		if p.script {
			f.Text = fmt.Sprintf("%s in output from %s", text, printable(p.file))
		}
	}
	f.Detail = shown
	if shown != "" {
		f.Detail += ": " + err.Error()
	}
	if hint := typography(shown); hint != "" {
		f.Detail += "; " + hint
	}
	if p.file != "" && f.Detail != "" {
		f.Detail = fmt.Sprintf("%s:%d: %s", printable(p.file), p.line, f.Detail)
	}
	return f
}

package options

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
)

// The exit codes of dnsmasq for faults of the configuration.
const (
	ExitConfig  = 1 // a bad option or value
	ExitNetwork = 2 // a socket
	ExitFile    = 3 // a file or directory that cannot be read
	ExitOther   = 5
)

// Fault is one error in a configuration.
type Fault struct {
	// Text is the message in dnsmasq's words.
	Text string
	// Detail says which option or value is wrong and what to do. It may be empty.
	Detail string
	// Exit is the exit code of dnsmasq for this fault.
	Exit int
}

// Faultf returns a fault with an exit code and a text without details.
func Faultf(exit int, format string, args ...any) error {
	return &Fault{Text: fmt.Sprintf(format, args...), Exit: exit}
}

// Error returns Text and Detail in one line.
func (f *Fault) Error() string {
	if f.Detail == "" {
		return f.Text
	}
	return f.Text + " (" + f.Detail + ")"
}

// Faults returns all faults in err, in order. Errors of other types become faults with
// [ExitConfig]. If err is nil, so is the result.
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

// Report returns the message about the faults in err and the exit code of the first. As in
// dnsmasq, the message is an empty line and the first fault; if there are details or more
// faults, a line for each follows.
func Report(program string, err error) (text string, exit int) {
	faults := Faults(err)
	if len(faults) == 0 {
		return "", 0
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s: %s\n", program, shorten(faults[0].Text))
	for i, f := range faults {
		if i > 0 || f.Detail != "" {
			fmt.Fprintf(&b, "%s: %s\n", program, shorten(cmp.Or(f.Detail, f.Text)))
		}
	}
	return b.String(), faults[0].Exit
}

// shorten leaves out the middle of a text with a very long value.
func shorten(text string) string {
	const part = 500
	if len(text) <= 2*part {
		return text
	}
	return strings.ToValidUTF8(text[:part]+" ... "+text[len(text)-part:], "?")
}

// badValue is an error about an option's value. text is dnsmasq's message, "" for its
// general one. hint explains the error if text does not.
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

// bad returns a badValue. hint is a format for args.
func bad(text, hint string, args ...any) error {
	return &badValue{text: text, hint: fmt.Sprintf(hint, args...)}
}

// source says where an option was given.
type source struct {
	file string // path; "" for the command line
	line int    // number of the line, from 1
	// script says whether file is a program that printed the line.
	script bool
}

// fault returns the fault for err, which is about the option shown, with dnsmasq's text.
func (p source) fault(shown string, err error) *Fault {
	f, shown := &Fault{Exit: ExitConfig}, printable(shown)
	value, ok := errors.AsType[*badValue](err)
	text := err.Error()
	if ok {
		text = value.text
	}
	if p.file == "" {
		f.Text = "bad command line options: " + cmp.Or(text, "try --help")
	} else {
		text = cmp.Or(text, "error")
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

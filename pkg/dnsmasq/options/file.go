package options

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// Files gives access to configuration files. No function may be nil.
type Files struct {
	// ReadFile returns the content of a file; the path "-" means standard input.
	ReadFile func(path string) ([]byte, error)
	// ReadDir returns the names of the regular files in a directory.
	ReadDir func(path string) ([]string, error)
	// Run runs the program of --conf-script and returns its output. If the exit code is
	// not 0, the error is a [ScriptError].
	Run func(command string) ([]byte, error)
}

// NoFiles returns Files without any files.
func NoFiles() Files {
	return Files{
		ReadFile: func(string) ([]byte, error) { return nil, fs.ErrNotExist },
		ReadDir:  func(string) ([]string, error) { return nil, fs.ErrNotExist },
		Run:      func(string) ([]byte, error) { return nil, fs.ErrNotExist },
	}
}

// reason returns the text for an error of the system, in the words of the C library if
// scripts may look for them.
func reason(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "No such file or directory"
	case errors.Is(err, fs.ErrPermission):
		return "Permission denied"
	}
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err.Error()
	}
	return err.Error()
}

// unreadable returns the fault of a file that cannot be read.
func unreadable(path string, err error) *Fault {
	return &Fault{Text: fmt.Sprintf("cannot read %s: %s", path, reason(err)), Exit: ExitFile}
}

// lines applies every line of a configuration file.
func (p *parser) lines(path string, data []byte) { p.eachLine(path, data, p.apply) }

// eachLine calls apply for the option of every line of a configuration file that has a valid one.
func (p *parser) eachLine(path string, data []byte, apply func(use, source)) {
	line := 0
	for raw := range bytes.Lines(data) {
		if line++; p.more >= maxMore {
			return
		}
		at := source{file: path, line: line, script: p.fromScript > 0}
		u, ok, err := p.index.line(string(raw))
		switch {
		case err != nil:
			p.addFault(at.fault(u.shown, err))
		case ok:
			apply(u, at)
		}
	}
}

// line parses one line of a configuration file. ok is false if it contains no option.
func (x *index) line(raw string) (u use, ok bool, err error) {
	text, err := cleanLine(raw)
	if err != nil || text == "" {
		return use{}, false, err
	}
	name, value, given := strings.Cut(text, "=")
	name, value = unhide(strings.Trim(name, blanks)), strings.Trim(value, blanks)
	u = use{shown: printable(name), value: value, given: given}
	// Files have only complete names, without dashes.
	u.spec = x.long[name]
	switch {
	case u.spec == nil:
		return u, false, bad("bad option", "unknown option")
	case u.spec.Status == Refused:
		return u, true, nil
	case given && u.spec.Arg == NoArgument:
		return u, false, bad("extraneous parameter", "takes no value")
	case !given && u.spec.Arg == RequiredArgument:
		return u, false, bad("missing parameter", "needs a value")
	}
	return u, true, nil
}

// blanks are the characters that count as white space.
const blanks = " \t\r\n\v\f"

// Characters that have a meaning in values, and the control characters that stand for them in
// quotes until the value has been split.
const (
	special = ",:.# \t\n\r"
	hidden  = "\x01\x02\x03\x04\x05\x06\x07\x0e"
)

// hide returns what stands for a quoted character.
func hide(c byte) byte {
	if i := strings.IndexByte(special, c); i >= 0 {
		return hidden[i]
	}
	return c
}

// unhide restores the quoted characters.
func unhide(s string) string {
	if !strings.ContainsAny(s, hidden) {
		return s
	}
	text := []byte(s)
	for i, c := range text {
		if at := strings.IndexByte(hidden, c); at >= 0 {
			text[i] = special[at]
		}
	}
	return string(text)
}

// cleanLine removes comments, quotes and surrounding white space from a line, and replaces
// other white space by spaces. A "#" begins a comment at the start of a line or after white
// space. In double quotes, spaces and the characters , : . # have no special meaning, and \\ \"
// \t \n \b \r \e are escapes.
func cleanLine(raw string) (string, error) {
	raw, _, _ = strings.Cut(raw, "\x00") // dnsmasq reads C strings
	var b strings.Builder
	blank := true
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch {
		case c == '"':
			end, err := quoted(&b, raw, i+1)
			if err != nil {
				return "", err
			}
			i, blank = end, false
			continue
		case c == '#' && blank:
			return strings.Trim(b.String(), blanks), nil
		case strings.IndexByte(blanks, c) >= 0:
			b.WriteByte(' ')
			blank = true
			continue
		case c < ' ':
			return "", bad("error", "control character in line")
		default:
			b.WriteByte(c)
		}
		blank = false
	}
	return strings.Trim(b.String(), blanks), nil
}

// quoted copies the quoted text that begins at raw[i], and returns the index of the closing
// quote.
func quoted(b *strings.Builder, raw string, i int) (int, error) {
	for ; i < len(raw); i++ {
		c := raw[i]
		if c == '"' {
			return i, nil
		}
		if c == '\\' && i+1 < len(raw) {
			if escaped, ok := escape(raw[i+1]); ok {
				c = escaped
				i++
			}
		}
		b.WriteByte(hide(c))
	}
	return 0, bad(`missing "`, "")
}

// escape returns the character that a letter after a backslash stands for in quotes.
func escape(c byte) (byte, bool) {
	const letters, meanings = `\"tnbre`, "\\\"\t\n\b\r\x1b"
	if i := strings.IndexByte(letters, c); i >= 0 {
		return meanings[i], true
	}
	return 0, false
}

// ParseServersFile parses the content of a --servers-file, which is a configuration file
// with only server and rev-server lines. It returns the servers of all valid lines, and a
// fault for each other line. The caller should log the faults: an invalid file must not end
// the program.
func ParseServersFile(path string, data []byte) ([]Server, []*Fault) {
	p := newParser(NoFiles())
	p.eachLine(path, data, func(u use, at source) {
		if u.spec.Name == "server" || u.spec.Name == "rev-server" {
			p.apply(u, at)
			return
		}
		p.addFault(&Fault{
			Text: fmt.Sprintf("illegal option at line %d of %s", at.line, path),
			Exit: ExitConfig,
		})
	})
	return p.o.Upstream.Servers, Faults(p.err())
}

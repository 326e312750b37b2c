package options

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// Files is how configuration files are reached. All functions must be set.
type Files struct {
	// ReadFile returns a whole file; the path "-" is standard input.
	ReadFile func(path string) ([]byte, error)
	// ReadDir returns the names of the regular files of a directory.
	ReadDir func(path string) ([]string, error)
	// Run runs the program of --conf-script and returns what it prints. An exit
	// code other than 0 is a [ScriptError].
	Run func(command string) ([]byte, error)
}

// NoFiles has no files at all.
func NoFiles() Files {
	return Files{
		ReadFile: func(path string) ([]byte, error) {
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		},
		ReadDir: func(path string) ([]string, error) {
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		},
		Run: func(command string) ([]byte, error) {
			return nil, &fs.PathError{Op: "fork/exec", Path: command, Err: fs.ErrNotExist}
		},
	}
}

// notExist reports whether a file is missing.
func notExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// reason is the system's text for an error, in the C library's words where a
// script may look for them.
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

func unreadable(path string, err error) *Fault {
	return &Fault{Text: fmt.Sprintf("cannot read %s: %s", path, reason(err)), Exit: ExitFile}
}

// lines applies every line of a configuration file.
func (p *parser) lines(path string, data []byte) {
	line := 0
	for raw := range bytes.Lines(data) {
		line++
		at := place{file: path, line: line, script: p.fromScript > 0}
		u, ok, err := p.index.line(string(raw))
		if err != nil {
			p.faults = append(p.faults, at.fault(u.shown, err))
			continue
		}
		if ok {
			p.apply(u, at)
		}
	}
}

// line reads one line of a configuration file; ok is false when it holds no
// option.
func (x *index) line(raw string) (u use, ok bool, err error) {
	text, err := cleanLine(raw)
	if err != nil || text == "" {
		return use{}, false, err
	}
	name, value, given := strings.Cut(text, "=")
	name, value = unhide(strings.Trim(name, blanks)), strings.Trim(value, blanks)
	u = use{shown: printable(name), value: value, given: given}
	// Files take whole names only, and no dashes.
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

// blanks are what may stand around words.
const blanks = " \t\r\n\v\f"

// Characters with a meaning in values that quotes take away are replaced by
// control characters until the value was split.
const (
	hiddenComma = "\x01"
	hiddenColon = "\x02"
	hiddenDot   = "\x03"
	hiddenHash  = "\x04"
)

// unhide gives quoted characters back.
func unhide(s string) string {
	if !strings.ContainsAny(s, "\x01\x02\x03\x04") {
		return s
	}
	return strings.NewReplacer(hiddenComma, ",", hiddenColon, ":", hiddenDot, ".", hiddenHash, "#").Replace(s)
}

// cleanLine removes comments, quotes and surrounding blanks from a line, and
// makes every other blank a space. A "#"
// starts a comment at the start of a line or after a blank. Inside double
// quotes the characters , : . # lose their meaning and \ \" \t \n \b \r \e are
// escapes.
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

// quoted copies quoted text that starts at raw[i] and returns the index of the
// closing quote.
func quoted(b *strings.Builder, raw string, i int) (int, error) {
	for ; i < len(raw); i++ {
		switch c := raw[i]; c {
		case '"':
			return i, nil
		case ',':
			b.WriteString(hiddenComma)
		case ':':
			b.WriteString(hiddenColon)
		case '.':
			b.WriteString(hiddenDot)
		case '#':
			b.WriteString(hiddenHash)
		case '\\':
			if i+1 < len(raw) {
				if escaped, ok := escape(raw[i+1]); ok {
					b.WriteByte(escaped)
					i++
					continue
				}
			}
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
	return 0, bad(`missing "`, "")
}

// escape returns what a letter after a backslash means inside quotes.
func escape(c byte) (byte, bool) {
	switch c {
	case '\\', '"':
		return c, true
	case 't':
		return '\t', true
	case 'n':
		return '\n', true
	case 'b':
		return '\b', true
	case 'r':
		return '\r', true
	case 'e':
		return 0x1b, true
	}
	return 0, false
}

// ParseServersFile reads a --servers-file: the lines of a configuration file
// of which only server and rev-server count. It returns the servers of every
// good line, and a fault for each of the others, which the caller logs: such a
// file never ends the program.
func ParseServersFile(path string, data []byte) ([]Server, []*Fault) {
	p := newParser(NoFiles())
	line := 0
	for raw := range bytes.Lines(data) {
		line++
		at := place{file: path, line: line}
		u, ok, err := p.index.line(string(raw))
		switch {
		case err != nil:
			p.faults = append(p.faults, at.fault(u.shown, err))
		case ok && u.spec.Name != "server" && u.spec.Name != "rev-server":
			p.faults = append(p.faults, &Fault{
				Text: fmt.Sprintf("illegal option at line %d of %s", line, path),
				Exit: ExitConfig,
			})
		case ok:
			p.apply(u, at)
		}
	}
	return p.o.Upstream.Servers, Faults(errors.Join(p.faults...))
}

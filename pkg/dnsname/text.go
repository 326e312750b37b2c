package dnsname

import (
	"errors"
	"fmt"
	"strings"
)

// The reasons why a text is not a name. Parse adds the text to them.
var (
	errEmpty     = errors.New("empty name")
	errNoLabel   = errors.New("empty label")
	errLongLabel = errors.New("label longer than 63 octets")
	errLongName  = errors.New("name longer than 255 octets in wire form")
	errEscape    = errors.New(`bad escape: want \DDD up to 255, or \ and one character`)
)

// Parse parses a name in presentation form (RFC 1035 §5.1). The trailing dot is optional: every
// name is fully qualified. "." is the root. A backslash and three decimal digits stand for that
// octet, a backslash and any other character for that character. Letters become lower case.
func Parse(text string) (Name, error) {
	wire, err := AppendText(make([]byte, 0, len(text)+2), text)
	if err != nil {
		return "", err
	}
	return Name(AppendLower(nil, wire)), nil
}

// MustParse is Parse for constants and tests. It panics if text is not a name.
func MustParse(text string) Name {
	n, err := Parse(text)
	if err != nil {
		panic(err)
	}
	return n
}

// AppendText appends the wire form of text, a name in presentation form, to dst. Unlike Parse,
// it keeps the case of letters, for names whose spelling clients see. If there is an error, it
// returns dst unchanged.
func AppendText[T string | []byte](dst []byte, text T) ([]byte, error) {
	out, err := appendText(dst, text)
	if err != nil {
		return dst, fmt.Errorf("parsing name %q: %w", string(text), err)
	}
	return out, nil
}

func appendText[T string | []byte](dst []byte, text T) ([]byte, error) {
	if len(text) == 0 {
		return nil, errEmpty
	}
	start := len(dst)
	if len(text) == 1 && text[0] == '.' {
		return append(dst, 0), nil
	}
	label := len(dst) // offset of the current label's length octet
	dst = append(dst, 0)
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch c {
		case '.':
			if len(dst) == label+1 {
				return nil, errNoLabel
			}
			label = len(dst)
			dst = append(dst, 0)
			continue
		case '\\':
			var n int
			if c, n = unescape(text[i+1:]); n == 0 {
				return nil, errEscape
			}
			i += n
		}
		if dst[label] == MaxLabel {
			return nil, errLongLabel
		}
		dst[label]++
		dst = append(dst, c)
	}
	if len(dst) > label+1 {
		dst = append(dst, 0) // no trailing dot: close the last label
	}
	if len(dst)-start > MaxName {
		return nil, errLongName
	}
	return dst, nil
}

// unescape parses the text after a backslash. It returns the octet and the number of
// characters, which is 0 if there is no valid escape.
func unescape[T string | []byte](s T) (c byte, n int) {
	if len(s) == 0 {
		return 0, 0
	}
	if !isDigit(s[0]) {
		return s[0], 1
	}
	if len(s) < 3 || !isDigit(s[1]) || !isDigit(s[2]) {
		return 0, 0
	}
	v := int(s[0]-'0')*100 + int(s[1]-'0')*10 + int(s[2]-'0')
	if v > 255 {
		return 0, 0
	}
	return byte(v), 3
}

// String returns the presentation form with a trailing dot. Characters with a meaning in zone
// files are escaped and octets that are not printable become \DDD, so that Parse returns the
// same name. For the zero Name the result is "".
func (n Name) String() string {
	if n == "" {
		return ""
	}
	if n == Root {
		return "."
	}
	var b strings.Builder
	b.Grow(len(n))
	for i := 0; i < len(n) && n[i] != 0; {
		end := min(i+1+int(n[i]), len(n))
		for i++; i < end; i++ {
			writeEscaped(&b, n[i])
		}
		b.WriteByte('.')
	}
	return b.String()
}

func writeEscaped(b *strings.Builder, c byte) {
	switch {
	case c == '.' || c == ' ' || c == '\'' || c == '@' || c == ';' || c == '(' || c == ')' || c == '"' || c == '\\':
		b.WriteByte('\\')
		b.WriteByte(c)
	case c < ' ' || c > '~':
		b.Write([]byte{'\\', '0' + c/100, '0' + c/10%10, '0' + c%10})
	default:
		b.WriteByte(c)
	}
}

func isDigit(c byte) bool { return c-'0' < 10 }

package hosts

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// Report says what reading one file has found.
type Report struct {
	// Names is the number of names read, including those that Expand adds. A name counts once for
	// each line that has it.
	Names int
	// Bad are the first lines and names that were skipped, at most MaxBad. MoreBad is the number
	// of further ones.
	Bad     []Bad
	MoreBad int
}

// MaxBad is the largest number of faults that are kept for one file.
const MaxBad = 20

// Bad is a line that was skipped, or one of its names.
type Bad struct {
	Line int // counted from 1
	// Name is the word that is not a domain name, shortened if it is very long. It is "" if the
	// line has no address or no name.
	Name string
}

// String returns the message that dnsmasq logs for the line.
func (b Bad) String(path string) string {
	if b.Name == "" {
		return fmt.Sprintf("bad address at %s line %d", path, b.Line)
	}
	return fmt.Sprintf("bad name at %s line %d: %q is not a domain name in ASCII", path, b.Line, b.Name)
}

// ErrFull means that a table cannot hold all names.
var ErrFull = errors.New("too many names in hosts files")

// Expand returns the domain that is appended to names of one label that have the address
// (--expand-hosts), or "" for none.
type Expand func(netip.Addr) dnsname.Name

// Read adds the hosts file that r reads. A line has an address and its names; # begins a comment.
// Zones of addresses are removed. If expand is not nil, a name of one label is preceded by its
// longer form. Invalid lines and names are skipped and reported. After an error, the lines before
// it remain.
func (b *TableBuilder) Read(path string, r io.Reader, expand Expand) (Report, error) {
	b.open(path)
	f := fileReader{builder: b, expand: expand}
	in := bufio.NewReaderSize(r, 64<<10)
	if start, _ := in.Peek(len(byteOrderMark)); string(start) == byteOrderMark {
		_, _ = in.Discard(len(byteOrderMark)) // it is there
	}
	var long []byte // the start of a line longer than the buffer
	tooLong := false
	for end := false; !end; {
		part, err := in.ReadSlice('\n')
		end = errors.Is(err, io.EOF)
		if err != nil && !end && !errors.Is(err, bufio.ErrBufferFull) {
			return f.report, err
		}
		if tooLong = tooLong || len(long)+len(part) > maxLine; tooLong {
			long, part = nil, nil
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			long = append(long, part...)
			continue
		}
		if len(long) > 0 {
			part, long = append(long, part...), nil
		}
		if tooLong {
			tooLong, part = false, []byte("\x00") // no address
		}
		if len(part) > 0 && !f.line(part) {
			return f.report, ErrFull
		}
	}
	return f.report, nil
}

// maxLine is the length of the longest line that is read, in octets. A longer line means that
// the file is not a hosts file but, for example, a device or an archive.
const maxLine = 4 << 20

const byteOrderMark = "\ufeff"

// fileReader is the state of reading one file.
type fileReader struct {
	builder *TableBuilder // receives the names and addresses
	expand  Expand        // returns the domain that --expand-hosts adds to the names of an address; may be nil
	report  Report        // counts the names read so far, and the faults
	number  int           // of the line

	text []byte     // the last address as written: many files repeat it
	addr netip.Addr // what it means

	name, longer [dnsname.MaxName + 1]byte // room for names
}

// line reads one line. It returns false if the table is full.
func (f *fileReader) line(line []byte) bool {
	f.number++
	line, _, _ = bytes.Cut(line, []byte("#"))
	var addr netip.Addr
	var domain dnsname.Name
	words, first := 0, true
	for word := range bytes.FieldsSeq(line) {
		words++
		if words == 1 {
			var ok bool
			if addr, ok = f.address(word); !ok {
				f.bad(nil)
				return true
			}
			if f.expand != nil {
				domain = f.expand(addr)
			}
			continue
		}
		name, ok := f.parse(word)
		if !ok {
			f.bad(word)
			continue
		}
		whole := word[len(word)-1] == '.' // as dnsmasq: nothing is added to such a name
		if longer, ok := f.below(name, domain); ok && !whole {
			if !f.addHost(addr, longer, first) {
				return false
			}
			first = false
		}
		if !f.addHost(addr, name, first) {
			return false
		}
		first = false
	}
	if words == 1 {
		f.bad(nil)
	}
	return true
}

func (f *fileReader) addHost(addr netip.Addr, name []byte, first bool) bool {
	f.report.Names++
	return f.builder.addName(addr, name, first)
}

// bad reports the line, or a word in it, as invalid.
func (f *fileReader) bad(word []byte) {
	if len(f.report.Bad) == MaxBad {
		f.report.MoreBad++
		return
	}
	f.report.Bad = append(f.report.Bad, Bad{Line: f.number, Name: string(word[:min(len(word), 2*dnsname.MaxName)])})
}

// address parses an address and removes its zone.
func (f *fileReader) address(word []byte) (netip.Addr, bool) {
	if len(f.text) > 0 && bytes.Equal(word, f.text) {
		return f.addr, true
	}
	addr, err := netip.ParseAddr(string(word))
	if err != nil {
		return netip.Addr{}, false
	}
	f.text, f.addr = append(f.text[:0], word...), addr.WithZone("")
	return f.addr, true
}

// parse parses a name. The result is valid until the next call.
func (f *fileReader) parse(word []byte) ([]byte, bool) {
	for _, c := range word {
		if c < ' ' || c >= 0x7f {
			return nil, false // outside ASCII, or a control character
		}
	}
	wire, err := dnsname.AppendText(f.name[:0], word)
	if err != nil || len(wire) <= 1 {
		return nil, false
	}
	return dnsname.AppendLower(wire[:0], wire), true
}

// below returns a name of one label, completed by a domain. It returns false if the name has
// more labels, if there is no domain, or if the result is too long. The result is valid until
// the next call.
func (f *fileReader) below(name []byte, domain dnsname.Name) ([]byte, bool) {
	if domain == "" || int(name[0])+2 != len(name) || len(name)-1+len(domain) > dnsname.MaxName {
		return nil, false
	}
	return append(append(f.longer[:0], name[:len(name)-1]...), domain...), true
}

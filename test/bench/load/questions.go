package load

import (
	"fmt"
	"strconv"
	"strings"
)

// Questions gives each question of a run in wire form: name, type and class.
type Questions interface {
	// Append appends question n. It is called from several goroutines.
	Append(dst []byte, n int) []byte
}

// Pattern asks for names that differ in one number.
type Pattern struct {
	// Type is the question type, A unless set.
	Type uint16

	before, after []byte // what surrounds the number, in wire form
	labelStart    []byte // the number's label, up to the number
	labelEnd      []byte // and after it
	count         int
}

var _ Questions = (*Pattern)(nil)

// stride is a prime, so that steps of it visit every number below a count that
// it does not divide.
const stride = 7919

// NewPattern returns the names that text, such as "n%d.example.com", makes of
// the numbers from 0 on. With a positive count it asks for that many names again
// and again, each once per turn, in an order that gives caches of the processor
// no help; 0 makes all names distinct.
func NewPattern(text string, count int) (*Pattern, error) {
	if strings.Count(text, "%d") != 1 || count < 0 || count > 1<<30 || count > 0 && count%stride == 0 {
		return nil, fmt.Errorf("pattern %q with %d names: want one %%d, and a number that is not negative, too large or a multiple of 7919", text, count)
	}
	p := &Pattern{Type: 1, count: count}
	side := &p.before
	for label := range strings.SplitSeq(strings.TrimSuffix(text, "."), ".") {
		if start, end, here := strings.Cut(label, "%d"); here {
			if len(start)+len(end) > 63-19 { // 19 digits fit an int64
				return nil, fmt.Errorf("pattern %q: label %q is too long", text, label)
			}
			p.labelStart, p.labelEnd = []byte(start), []byte(end)
			side = &p.after
			continue
		}
		if label == "" || len(label) > 63 {
			return nil, fmt.Errorf("pattern %q: bad label %q", text, label)
		}
		*side = append(append(*side, byte(len(label))), label...)
	}
	p.after = append(p.after, 0)
	if len(p.before)+len(p.after)+64 > 255 {
		return nil, fmt.Errorf("pattern %q makes names that are too long", text)
	}
	return p, nil
}

// Append implements [Questions].
func (p *Pattern) Append(dst []byte, n int) []byte {
	if p.count > 0 {
		n = n % p.count * stride % p.count
	}
	dst = append(dst, p.before...)
	at := len(dst)
	dst = append(dst, 0)
	dst = append(dst, p.labelStart...)
	dst = strconv.AppendInt(dst, int64(n), 10)
	dst = append(dst, p.labelEnd...)
	dst[at] = byte(len(dst) - at - 1)
	dst = append(dst, p.after...)
	return append(dst, byte(p.Type>>8), byte(p.Type), 0, 1)
}

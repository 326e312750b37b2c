package prober

import (
	"strconv"
	"sync"
)

// MaxOutput is how many bytes of a run's output are kept: enough for a dozen lines of
// error messages, and little enough if a command prints without end.
const MaxOutput = 4 << 10

// output keeps the first MaxOutput bytes written to it and counts the rest.
// Writes never fail, so that a noisy command is not killed by a broken pipe.
// It is safe for concurrent use. After take it ignores what is written.
type output struct {
	mu   sync.Mutex
	kept []byte
	cut  int
	read bool
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.read {
		return len(p), nil
	}
	n := min(len(p), MaxOutput-len(o.kept))
	o.kept = append(o.kept, p[:n]...)
	o.cut += len(p) - n
	return len(p), nil
}

// takeText returns what was kept, with a note if something was cut off. Whatever is
// written later is ignored.
func (o *output) takeText() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.read = true
	if o.cut == 0 {
		return string(o.kept)
	}
	return string(o.kept) + " [" + strconv.Itoa(o.cut) + " more bytes cut]"
}

package autopath

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
)

// Mode says which names are completed.
type Mode uint32

// The modes.
const (
	// Unset is the zero value: nothing was said, which means Off.
	Unset Mode = iota
	// Off completes nothing.
	Off
	// Cluster completes names that are in the cluster's own zones.
	Cluster
)

// errAll says why the mode for names outside the cluster is refused.
var errAll = errors.New(`"all" is not available: only names inside the cluster are completed; use "cluster"`)

// ParseMode reads a mode as the flag and the ConfigMap spell it. White space around
// it is ignored. An empty text is an error.
func ParseMode(text string) (Mode, error) {
	switch text := strings.TrimSpace(text); text {
	case "off":
		return Off, nil
	case "cluster":
		return Cluster, nil
	case "all":
		return Unset, errAll
	default:
		return Unset, fmt.Errorf(`%q is not a mode; use "off" or "cluster"`, text)
	}
}

// String returns the mode as ParseMode reads it.
func (m Mode) String() string {
	if m == Cluster {
		return "cluster"
	}
	return "off"
}

// Or returns m, or other if m is Unset.
func (m Mode) Or(other Mode) Mode {
	if m == Unset {
		return other
	}
	return m
}

// Switch holds the mode in effect. The zero value, and nil, are off. It is safe for
// concurrent use.
type Switch struct {
	mode atomic.Uint32
}

// Set puts a mode into effect, and returns the one before.
func (s *Switch) Set(m Mode) (before Mode) { return Mode(s.mode.Swap(uint32(m))) }

// Mode returns the mode in effect.
func (s *Switch) Mode() Mode {
	if s == nil {
		return Off
	}
	return Mode(s.mode.Load())
}

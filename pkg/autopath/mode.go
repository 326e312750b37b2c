package autopath

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// Mode says which names are completed.
type Mode uint32

// The modes.
const (
	// Unset is the zero value: no mode was set, which means Off.
	Unset Mode = iota
	// Off completes nothing.
	Off
	// Cluster completes names that are in the cluster's own zones.
	Cluster
	// All also completes names outside the cluster, together with dnscache (see [Hint]).
	All
)

// ParseMode parses a mode in the spelling of the flag and the ConfigMap. White space around it
// is ignored. An empty text is an error.
func ParseMode(text string) (Mode, error) {
	switch text := strings.TrimSpace(text); text {
	case "off":
		return Off, nil
	case "cluster":
		return Cluster, nil
	case "all":
		return All, nil
	default:
		return Unset, fmt.Errorf(`%q is not a mode; use "off", "cluster" or "all"`, text)
	}
}

// String returns the mode as ParseMode reads it.
func (m Mode) String() string {
	switch m {
	case Cluster:
		return "cluster"
	case All:
		return "all"
	}
	return "off"
}

var errTooManySearches = fmt.Errorf("more than %d search entries", MaxSearches)

// ParseSearches parses search entries, with or without a final dot. Duplicates are dropped. The
// result is nil only if texts is nil.
func ParseSearches(texts []string) ([]dnsname.Name, error) {
	if texts == nil {
		return nil, nil
	}
	searches := []dnsname.Name{}
	for _, text := range texts {
		text = strings.TrimSpace(text)
		if text == "" || text == "." {
			return nil, errors.New("a search entry is empty, or the root")
		}
		if !dnsname.IsSubdomain1123(strings.ToLower(strings.TrimSuffix(text, "."))) {
			return nil, fmt.Errorf("search entry %q is not an RFC 1123 subdomain", text)
		}
		name, err := dnsname.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("search entry %q: %w", text, err)
		}
		if !slices.Contains(searches, name) {
			searches = append(searches, name)
		}
	}
	if len(searches) > MaxSearches {
		return nil, errTooManySearches
	}
	return searches, nil
}

// Settings say which names are completed. They never change.
type Settings struct {
	Mode Mode
	// Searches are the search entries that clients have after those of the cluster. They have
	// an effect only in the mode All.
	Searches []dnsname.Name
}

// Equal reports whether both settings have the same effect.
func (s Settings) Equal(other Settings) bool {
	return s.Mode.String() == other.Mode.String() && (s.Mode != All || slices.Equal(s.Searches, other.Searches))
}

// String returns the mode and, with the mode All, the search entries.
func (s Settings) String() string {
	if s.Mode != All || len(s.Searches) == 0 {
		return s.Mode.String()
	}
	var texts []string
	for _, name := range s.Searches {
		texts = append(texts, strings.TrimSuffix(name.String(), "."))
	}
	return s.Mode.String() + ", searches " + strings.Join(texts, " ")
}

// Switch holds the settings in effect. The zero value, and nil, are off. It is safe for
// concurrent use.
type Switch struct {
	settings atomic.Pointer[Settings]
}

// Set puts settings into effect, and returns the previous ones.
func (s *Switch) Set(settings Settings) (before Settings) {
	if old := s.settings.Swap(&settings); old != nil {
		return *old
	}
	return Settings{Mode: Off}
}

// Settings returns the settings in effect.
func (s *Switch) Settings() Settings {
	if s != nil {
		if settings := s.settings.Load(); settings != nil {
			return *settings
		}
	}
	return Settings{Mode: Off}
}

package testkit

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"
)

// Volume is a directory that is changed as the kubelet changes the volume of a ConfigMap. Dir
// must exist. A Volume is not safe for concurrent use.
type Volume struct {
	Dir string

	version int
	keys    map[string]string
}

// Keys returns a copy of the current keys and their values.
func (v *Volume) Keys() map[string]string { return maps.Clone(v.keys) }

// Set replaces all keys: it writes a new directory, changes the link ..data to it, and then adds
// and removes the links of single keys.
func (v *Volume) Set(tb testing.TB, keys map[string]string) {
	tb.Helper()
	must := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Error(err) // not Fatal, because Set may run on any goroutine
		}
	}
	previous, old := fmt.Sprintf("..version_%d", v.version), v.keys
	v.version++
	current := fmt.Sprintf("..version_%d", v.version)
	must(os.Mkdir(filepath.Join(v.Dir, current), 0o755))
	for name, value := range keys {
		must(os.WriteFile(filepath.Join(v.Dir, current, name), []byte(value), 0o644))
	}
	link := func(target, name string) {
		temporary := filepath.Join(v.Dir, "..link_tmp")
		must(os.Symlink(target, temporary))
		must(os.Rename(temporary, filepath.Join(v.Dir, name)))
	}
	link(current, "..data")
	for name := range keys {
		if _, ok := old[name]; !ok {
			link(filepath.Join("..data", name), name)
		}
	}
	for name := range old {
		if _, ok := keys[name]; !ok {
			must(os.Remove(filepath.Join(v.Dir, name)))
		}
	}
	must(os.RemoveAll(filepath.Join(v.Dir, previous)))
	v.keys = maps.Clone(keys)
}

package files

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/kube-dns/kube-dns/pkg/dnscache/linelog"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/hosts"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// defaultHosts is read unless --no-hosts is given.
const defaultHosts = "/etc/hosts"

// hostsPaths returns the paths of all hosts files that the options name.
func hostsPaths(l *options.Local, log *linelog.Log) []string {
	var paths []string
	if !l.NoHosts {
		paths = append(paths, defaultHosts)
	}
	for _, path := range l.AddnHosts {
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			paths = append(paths, hostsDir(path, log)...)
		} else {
			paths = append(paths, path)
		}
	}
	for _, dir := range l.HostsDirs {
		paths = append(paths, hostsDir(dir, log)...)
	}
	return paths
}

// hostsDir returns the hosts files in a directory, sorted by name, without the backup files
// of editors.
func hostsDir(dir string, log *linelog.Log) []string {
	names, err := Regular(dir)
	if err != nil {
		log.Printf("cannot access directory %s: %s", dir, linelog.ErrorText(err))
		return nil
	}
	var paths []string
	for _, name := range names {
		if strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~") ||
			strings.HasPrefix(name, "#") && strings.HasSuffix(name, "#") {
			continue
		}
		paths = append(paths, filepath.Join(dir, name))
	}
	return paths
}

// Hosts follows the hosts files that the options name. The zero value with Options and Log is
// ready. It must not be used from two goroutines at once.
type Hosts struct {
	hosts.Loader
	Options *options.Local
	Log     *linelog.Log

	stamp string // of the directories of --hostsdir at the last Read
}

// Read reads all hosts files. If reading a file fails, the error is logged, and the names before
// it are used. networks returns the networks of an interface, for --expand-hosts; always must be
// true if they have changed.
func (h *Hosts) Read(networks func(string) []netip.Prefix, always bool) {
	h.stamp = hostsStamp(h.Options.HostsDirs) // first, so that no change is missed
	h.Load(hostsPaths(h.Options, h.Log), expand(h.Options, networks), always)
	logHosts(h.Files, h.Log)
}

// LogCleared logs that the cache was cleared, if there is one. As in dnsmasq, there is no such
// line if hosts files are read again at the same time.
func (h *Hosts) LogCleared(cache *options.Cache) {
	if h.Options.NoHosts && len(h.Options.AddnHosts) == 0 && cache.Size > 0 {
		h.Log.Printf("cleared cache")
	}
}

// Changed reports whether a directory of --hostsdir differs from what was read last.
func (h *Hosts) Changed() bool { return hostsStamp(h.Options.HostsDirs) != h.stamp }

// expand implements --expand-hosts.
func expand(o *options.Local, networks func(string) []netip.Prefix) hosts.Expand {
	if !o.ExpandHosts {
		return nil
	}
	return func(addr netip.Addr) dnsname.Name { return o.DomainOf(addr, networks) }
}

// logHosts logs what was read.
func logHosts(files []hosts.File, log *linelog.Log) {
	for i := range files {
		f := &files[i]
		for _, bad := range f.Bad {
			log.Printf("%s", bad.String(f.Path))
		}
		if f.MoreBad > 0 {
			log.Printf("%d more bad lines or names in %s", f.MoreBad, f.Path)
		}
		if f.Err != nil {
			log.Printf("failed to load names from %s: %s", f.Path, linelog.ErrorText(f.Err))
			if f.Names == 0 {
				continue
			}
		}
		log.Printf("read %s - %d names", f.Path, f.Names)
	}
}

// hostsStamp returns a text that differs if the directories of --hostsdir have changed.
func hostsStamp(dirs []string) string {
	var b strings.Builder
	for _, dir := range dirs {
		names, err := Regular(dir)
		if err != nil {
			continue
		}
		for _, name := range names {
			if info, err := os.Stat(filepath.Join(dir, name)); err == nil {
				fmt.Fprintf(&b, "%q %d %d\n", name, info.ModTime().UnixNano(), info.Size())
			}
		}
	}
	return b.String()
}

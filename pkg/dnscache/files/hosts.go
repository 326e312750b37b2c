package files

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"github.com/kube-dns/kube-dns/pkg/dnscache/linelog"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/hosts"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// defaultHosts is the hosts file that is read unless --no-hosts is given.
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
	for _, name := range options.SelectNames(names, nil) {
		paths = append(paths, filepath.Join(dir, name))
	}
	return paths
}

// Hosts follows the hosts files that the options name. Set Options and Log, and call Read. It
// must not be used from two goroutines at once.
type Hosts struct {
	hosts.Loader
	Options *options.Local
	Log     *linelog.Log

	stamps []stamp // the result of hostsStamps at the last Read
}

// Read reads all hosts files. If a file cannot be read to its end, the error is logged and the
// names read before it are used. networks returns the networks of an interface, for
// --expand-hosts. If always is false, files that have not changed may be skipped; it must be
// true if networks returns other values than before.
func (h *Hosts) Read(networks func(string) []netip.Prefix, always bool) {
	h.stamps = hostsStamps(h.Options.HostsDirs) // first, so that no change is missed
	h.Load(hostsPaths(h.Options, h.Log), expand(h.Options, networks), always)
	logHosts(h.Files, h.Log)
}

// LogCleared logs that the cache was cleared, if there is a cache. As in dnsmasq, nothing is
// logged if hosts files are read again at the same time.
func (h *Hosts) LogCleared(cache *options.Cache) {
	if h.Options.NoHosts && len(h.Options.AddnHosts) == 0 && cache.Size > 0 {
		h.Log.Printf("cleared cache")
	}
}

// Changed reports whether a directory of --hostsdir has changed since the last Read.
func (h *Hosts) Changed() bool { return !slices.Equal(hostsStamps(h.Options.HostsDirs), h.stamps) }

// expand returns the function for --expand-hosts that returns the domain of an address, or nil
// without that option.
func expand(o *options.Local, networks func(string) []netip.Prefix) hosts.Expand {
	if !o.ExpandHosts {
		return nil
	}
	return func(addr netip.Addr) dnsname.Name { return o.DomainOf(addr, networks) }
}

// logHosts logs the number of names, the errors and the bad lines of each file.
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

// hostsStamps returns the stamps of the files in directories, by which changes are noticed.
func hostsStamps(dirs []string) []stamp {
	var list []stamp
	for _, dir := range dirs {
		names, _ := Regular(dir) // an error is logged when the files are read
		for _, name := range names {
			if s, err := stampOf(filepath.Join(dir, name)); err == nil {
				list = append(list, s)
			}
		}
	}
	return list
}

package main

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/hosts"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// defaultHosts is read unless --no-hosts is given.
const defaultHosts = "/etc/hosts"

// hostsFiles returns the paths of all hosts files that the options name.
func hostsFiles(l *options.Local, log *lineLog) []string {
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

// hostsDir lists the hosts files of a directory, without the leftovers of
// editors, in the order of their names.
func hostsDir(dir string, log *lineLog) []string {
	names, err := regularFiles(dir)
	if err != nil {
		log.printf("cannot access directory %s: %s", dir, systemText(err))
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

// loadHosts reads all hosts files. A file that cannot be read is logged, and left out
// from where that is so. always is for domains of --expand-hosts that have changed.
func (a *app) loadHosts(always bool) {
	o := &a.options.Local
	a.hostsStamp = hostsStamp(o.HostsDirs) // first, so that no change is missed
	a.hosts.Load(hostsFiles(o, a.log), expand(o, a.interfaces), always)
	logHosts(a.hosts.Files, a.log)
}

// expand is --expand-hosts.
func expand(o *options.Local, list interfaces) hosts.Expand {
	if !o.ExpandHosts {
		return nil
	}
	return func(addr netip.Addr) dnsname.Name { return o.DomainOf(addr, list.networks) }
}

// logHosts tells what was read.
func logHosts(files []hosts.File, log *lineLog) {
	for i := range files {
		f := &files[i]
		for _, bad := range f.Bad {
			log.printf("%s", bad.String(f.Path))
		}
		if f.MoreBad > 0 {
			log.printf("%d more bad lines or names in %s", f.MoreBad, f.Path)
		}
		if f.Err != nil {
			log.printf("failed to load names from %s: %s", f.Path, systemText(f.Err))
			if f.Names == 0 {
				continue
			}
		}
		log.printf("read %s - %d names", f.Path, f.Names)
	}
}

// hostsStamp tells one state of the directories of --hostsdir from another.
func hostsStamp(dirs []string) string {
	var b strings.Builder
	for _, dir := range dirs {
		names, err := regularFiles(dir)
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

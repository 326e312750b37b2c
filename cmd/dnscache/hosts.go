package main

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// defaultHosts is read unless --no-hosts is given.
const defaultHosts = "/etc/hosts"

// hostsFile is the content of one hosts file.
type hostsFile struct {
	path  string
	hosts []options.Host
}

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

// loggedBad is how many faults of one hosts file are logged.
const loggedBad = 20

// readHosts reads all hosts files. A file that cannot be read is logged and
// left out.
func readHosts(l *options.Local, log *lineLog, list interfaces) []hostsFile {
	var files []hostsFile
	for _, path := range hostsFiles(l, log) {
		data, err := readFile(path)
		if err != nil {
			log.printf("failed to load names from %s: %s", path, systemText(err))
			continue
		}
		var hosts []options.Host
		bad := options.ParseHosts(data, func(addr netip.Addr, names []dnsname.Name) {
			hosts = append(hosts, options.Host{Addr: addr, Names: slices.Clone(names)})
		})
		for i, b := range bad {
			if i == loggedBad {
				log.printf("%d more bad lines or names in %s", len(bad)-i, path)
				break
			}
			log.printf("%s", b.String(path))
		}
		names := 0
		for _, h := range hosts {
			names += len(expand(&h, l, list))
		}
		log.printf("read %s - %d names", path, names)
		files = append(files, hostsFile{path: path, hosts: hosts})
	}
	return files
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

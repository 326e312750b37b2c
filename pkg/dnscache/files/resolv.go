package files

import (
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/kube-dns/kube-dns/pkg/dnscache/linelog"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/netif"
)

// defaultResolv is read unless --resolv-file names others.
const defaultResolv = "/etc/resolv.conf"

// Resolv follows the files of --resolv-file. The newest one counts.
type Resolv struct {
	paths []string
	log   *linelog.Log
	// own reports whether queries to an address would reach this program, or
	// nobody; see OwnServer.
	own func(netip.Addr) bool

	// unused means that other servers replace those of the files. Problems with
	// the files are then not logged.
	unused bool
	// Servers are those of the newest file.
	Servers []netip.Addr
	seen    stamp
	problem string
}

// FollowResolv returns a follower of the files of --resolv-file. own reports whether asking an
// address would ask this program: see [OwnServer].
func FollowResolv(paths []string, log *linelog.Log, own func(netip.Addr) bool) *Resolv {
	return &Resolv{paths: paths, log: log, own: own}
}

// stamp identifies one version of a file. The inode detects a file that was replaced by
// renaming within the resolution of its modification time.
type stamp struct {
	path  string
	mtime time.Time
	size  int64
	inode uint64
}

// newest returns the stamp of the newest file, or the error of the last one if none exists.
func (r *Resolv) newest() (stamp, error) {
	var best stamp
	var problem error
	for _, path := range r.paths {
		info, err := os.Stat(path)
		if err != nil {
			problem = err
			continue
		}
		s := stamp{path: path, mtime: info.ModTime(), size: info.Size()}
		if sys, ok := info.Sys().(*syscall.Stat_t); ok {
			s.inode = sys.Ino
		}
		if best.path == "" || s.mtime.After(best.mtime) {
			best = s
		}
	}
	if best.path == "" {
		return stamp{}, problem
	}
	return best, nil
}

// Poll reads the newest file if it has changed, or if force is true, and reports whether the
// servers changed. While there is no file, or none
// with servers, the last servers stay. A nil Resolv has none.
func (r *Resolv) Poll(force bool) (changed bool) {
	if r == nil {
		return false
	}
	now, err := r.newest()
	if err != nil {
		r.complain("failed to access " + firstPath(r.paths) + ": " + linelog.ErrorText(err))
		return false
	}
	if now == r.seen && !force {
		return false
	}
	data, err := Read(now.path)
	if err != nil {
		r.complain("failed to read " + now.path + ": " + linelog.ErrorText(err))
		return false
	}
	r.seen = now
	var servers []netip.Addr
	for _, addr := range options.ParseResolvConf(data) {
		if r.own(addr) {
			if r.unused {
				continue
			}
			r.log.Printf("ignoring nameserver %s - local interface", addr)
			continue
		}
		servers = append(servers, addr)
	}
	if len(servers) == 0 {
		r.complain("no servers found in " + now.path + ", will retry")
		return false
	}
	r.problem = ""
	if !r.unused {
		r.log.Printf("reading %s", now.path)
	}
	changed = !slices.Equal(servers, r.Servers)
	r.Servers = servers
	return changed || force
}

// complain logs a problem, unless it is the one that was logged last.
func (r *Resolv) complain(text string) {
	if r.unused {
		return
	}
	if text != r.problem {
		r.problem = text
		r.log.Printf("%s", text)
	}
}

// Use says whether the servers of the files count now. If they count again, the
// files are read again, so that the log says so.
func (r *Resolv) Use(count bool) {
	again := count && r.unused
	r.unused = !count
	if again {
		r.Poll(true)
	}
}

func firstPath(paths []string) string {
	if len(paths) == 0 {
		return "resolv.conf"
	}
	return paths[0]
}

// OwnServer returns a function that reports whether a server from the files must not be
// asked: the addresses that this program listens on, and loopback addresses
// unless other files than the default one are given. In a Pod nobody else answers
// at a loopback address of resolv.conf, and on a host it is this program or one that
// asks this program.
func OwnServer(paths []string, listening []netip.AddrPort, interfaces func() (netif.List, error)) func(netip.Addr) bool {
	const port = options.DefaultPort
	own := map[netip.Addr]bool{}
	loopback := slices.Equal(paths, []string{defaultResolv})
	for _, l := range listening {
		if l.Port() != port {
			continue
		}
		own[l.Addr()] = true
		if !l.Addr().IsUnspecified() {
			continue
		}
		loopback = true // all loopback addresses are this program then
		if all, err := interfaces(); err == nil {
			for _, i := range all {
				for _, a := range i.Addrs {
					own[a] = own[a] || a.Is4() == l.Addr().Is4()
				}
			}
		}
	}
	return func(a netip.Addr) bool {
		return loopback && a.Unmap().IsLoopback() || a.IsUnspecified() || own[a.Unmap()] || own[a]
	}
}

package files

import (
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/kube-dns/kube-dns/pkg/dnscache/linelog"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/internal/readfile"
	"github.com/kube-dns/kube-dns/pkg/netif"
)

// defaultResolv is the file that is read unless --resolv-file names others.
const defaultResolv = "/etc/resolv.conf"

// maxResolv is the size of the largest resolv.conf file, in octets.
const maxResolv = 1 << 20

// Resolv follows the files of --resolv-file. Only the newest file is used. It must not be used
// from two goroutines at once.
type Resolv struct {
	paths []string
	log   *linelog.Log
	// own reports whether a question to an address would reach this program, or no server at
	// all; see OwnServer.
	own func(netip.Addr) bool

	// unused means that other servers replace those of the files. Problems with the files are
	// then not logged.
	unused bool
	// Servers are the servers of the newest file that has any.
	Servers []netip.Addr
	seen    stamp
	problem string
}

// FollowResolv returns a Resolv for the files at paths, of which there is at least one. It does not
// read them yet. own reports
// whether an address must not be asked; see [OwnServer].
func FollowResolv(paths []string, log *linelog.Log, own func(netip.Addr) bool) *Resolv {
	return &Resolv{paths: paths, log: log, own: own}
}

// stamp identifies one version of a file. The inode shows that a file was replaced by another
// one with the same modification time.
type stamp struct {
	path  string
	mtime time.Time
	size  int64
	inode uint64
}

// stampOf returns the stamp of the file at path.
func stampOf(path string) (stamp, error) {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}, err
	}
	s := stamp{path: path, mtime: info.ModTime(), size: info.Size()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.inode = sys.Ino
	}
	return s, nil
}

// newest returns the stamp of the newest file, or the error of the last one if none exists.
func (r *Resolv) newest() (stamp, error) {
	var best stamp
	var problem error
	for _, path := range r.paths {
		s, err := stampOf(path)
		if err != nil {
			problem = err
		} else if best.path == "" || s.mtime.After(best.mtime) {
			best = s
		}
	}
	if best.path == "" {
		return stamp{}, problem
	}
	return best, nil
}

// Poll reads the newest file if it has changed or if force is true. It reports whether the
// servers have changed; with force, it returns true whenever the file has servers. If there is
// no file, or the file has no servers, the previous servers stay. A nil Resolv has no servers.
func (r *Resolv) Poll(force bool) (changed bool) {
	if r == nil {
		return false
	}
	now, err := r.newest()
	if err != nil {
		r.complain("failed to access " + r.paths[0] + ": " + linelog.ErrorText(err))
		return false
	}
	if now == r.seen && !force {
		return false
	}
	data, err := readfile.All(now.path, maxResolv)
	if err != nil {
		r.complain("failed to read " + now.path + ": " + linelog.ErrorText(err))
		return false
	}
	r.seen = now
	var servers []netip.Addr
	for _, addr := range options.ParseResolvConf(data) {
		reason := ""
		switch {
		case r.own(addr):
			reason = "local interface"
		case !dnsname.IsUnicast(addr):
			reason = "not the address of one server"
		default:
			servers = append(servers, addr)
		}
		if reason != "" && !r.unused {
			r.log.Printf("ignoring nameserver %s - %s", addr, reason)
		}
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

// complain logs a problem unless it was the last one logged.
func (r *Resolv) complain(text string) {
	if r.unused {
		return
	}
	if text != r.problem {
		r.problem = text
		r.log.Printf("%s", text)
	}
}

// Use sets whether the servers of the files are used from now on. If they are used again, the
// files are read again, so that the log shows it.
func (r *Resolv) Use(count bool) {
	again := count && r.unused
	r.unused = !count
	if again {
		r.Poll(true)
	}
}

// OwnServer returns a function that reports whether a server in the files at paths must not be
// asked. These are the addresses that this program listens on and, if paths is only the default
// file, loopback addresses. In a Pod, no other server answers at a loopback address in
// resolv.conf; on a host, such a server is this program or one that asks this program.
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
		loopback = true // then this program answers at all loopback addresses
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

// Package process sets up dnscache as a process of the system: its user and its pid file.
//
// Use [CheckPorts] before sockets are opened, and [Settle] afterwards.
package process

import (
	"errors"
	"maps"
	"slices"
	"syscall"

	"github.com/kube-dns/kube-dns/pkg/dnscache/linelog"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/pidfile"
	"github.com/kube-dns/kube-dns/pkg/privilege"
)

// CheckPorts returns a fault if an option sets a source port below 1024 and the program will
// not run as root, because only root may use these ports.
func CheckPorts(id privilege.Identity, u *options.Upstream) error {
	if !id.Change || id.UID == 0 {
		return nil
	}
	ports := map[string]uint16{"--query-port": u.QueryPort, "--min-port": u.MinPort}
	for _, s := range u.Servers {
		ports["--server="+s.String()] = s.SourcePort
	}
	for _, option := range slices.Sorted(maps.Keys(ports)) {
		if port := ports[option]; port > 0 && port < 1024 {
			return options.Faultf(options.ExitConfig, "source port %d of %s needs --user=root", port, option)
		}
	}
	return nil
}

// Settle makes the user of id the owner of the log file, writes the pid file, and gives up
// root. The caller must remove the returned pid file at the end. It is nil if none was written.
func Settle(id privilege.Identity, o *options.Process, log *linelog.Log) (*pidfile.PIDFile, error) {
	owner := -1
	if id.Change {
		owner = id.UID
		if err := log.Chown(id.UID); err != nil {
			log.Printf("warning: cannot make user %d the owner of the log file: %s", id.UID, linelog.ErrorText(err))
		}
	}
	var file *pidfile.PIDFile
	if !o.NoDaemon {
		var err error
		if file, err = writePidFile(o.PidFile, owner, log); err != nil {
			return nil, err
		}
	}
	if err := dropRoot(id, log); err != nil {
		file.Remove()
		return nil, err
	}
	return file, nil
}

// writePidFile writes the file of --pid-file and makes the user uid its owner. If uid is
// negative, the owner does not change. The result is nil if there is no such option, or if path
// is not a regular file.
func writePidFile(path string, uid int, log *linelog.Log) (*pidfile.PIDFile, error) {
	if path == "" {
		return nil, nil
	}
	file, err := pidfile.Write(path, uid)
	switch {
	case errors.Is(err, pidfile.ErrNotRegular):
		log.Printf("warning: not writing a pid file: %v; --pid-file= without a value switches it off", err)
		return nil, nil
	case err != nil:
		return nil, options.Faultf(options.ExitFile, "failed to open pidfile %s: %s", path, linelog.ErrorText(err))
	}
	return file, nil
}

// dropRoot changes to the user of id. If the program lacks the right to do that, as in a
// container without the capability, it logs a warning and stays root, or returns an error if
// the options name the user.
func dropRoot(id privilege.Identity, log *linelog.Log) error {
	err := id.Drop()
	switch {
	case err == nil:
		return nil
	case !id.Asked && errors.Is(err, syscall.EPERM):
		log.Printf("warning: staying root: %v", err)
		return nil
	}
	return options.Faultf(options.ExitOther, "%v", err)
}

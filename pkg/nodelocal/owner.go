package nodelocal

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// portOwner describes the processes that hold port 53 of one of the addresses, or of all
// addresses. It returns "" if there is none. It can name a process only if that is in the
// same process namespace.
func portOwner(addrs []netip.Addr) string {
	var owners []string
	for _, file := range []string{"udp", "tcp", "udp6", "tcp6"} {
		f, err := os.Open("/proc/net/" + file)
		if err != nil {
			continue
		}
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			fields := strings.Fields(lines.Text())
			if len(fields) < 10 || strings.HasPrefix(file, "tcp") && fields[3] != "0A" {
				continue // not a socket that listens
			}
			at, ok := parseSocket(fields[1])
			if !ok || at.Port() != dnsPort || !at.Addr().IsUnspecified() && !slices.Contains(addrs, at.Addr()) {
				continue
			}
			socket := fmt.Sprintf("%s %v belongs to ", strings.TrimSuffix(file, "6"), at)
			if !slices.ContainsFunc(owners, func(o string) bool { return strings.HasPrefix(o, socket) }) { // not shared by several
				owners = append(owners, socket+holder(fields[9], fields[7]))
			}
		}
	}
	return strings.Join(owners, "; ")
}

// parseSocket reads an address as /proc/net/udp writes it: 32-bit words in host byte order,
// then the port.
func parseSocket(text string) (netip.AddrPort, bool) {
	host, port, _ := strings.Cut(text, ":")
	b, err := hex.DecodeString(host)
	n, portErr := strconv.ParseUint(port, 16, 16)
	if err != nil || portErr != nil || len(b)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(b); i += 4 {
		binary.NativeEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:]))
	}
	addr, ok := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(addr, uint16(n)), ok
}

// holder names the process that has the socket with this inode, or, if it cannot be found,
// the socket's user.
func holder(inode, uid string) string {
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range fds {
		if target, err := os.Readlink(fd); err != nil || target != "socket:["+inode+"]" {
			continue
		}
		pid := strings.Split(fd, "/")[2]
		name, _ := os.ReadFile("/proc/" + pid + "/comm")
		return fmt.Sprintf("process %s (%s)", pid, strings.TrimSpace(string(name)))
	}
	return "a process of user " + uid + " outside this process namespace"
}

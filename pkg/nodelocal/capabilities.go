package nodelocal

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Sets of capabilities, as bits.
const (
	// childCaps are the capabilities that the cache needs until it has bound its ports and
	// switched to its unprivileged user. The switch drops all of them.
	childCaps = 1<<unix.CAP_NET_BIND_SERVICE | 1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID
	// supervisorCaps are childCaps, which the supervisor passes to each cache that it starts,
	// and the capabilities that it needs itself: to change the link and the rules, and to end
	// a cache that runs as another user.
	supervisorCaps = childCaps | 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_KILL
)

// hasCapability reports whether this process has a capability.
func hasCapability(number uint) bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	return unix.Capget(&header, &data[0]) == nil && data[number/32].Effective&(1<<(number%32)) != 0
}

// limitCapabilities drops all capabilities except those in keep, for this process and all
// processes that it starts. It ignores errors, because it is only a second line of defence.
func limitCapabilities(keep uint32) {
	for number := uintptr(0); number <= unix.CAP_LAST_CAP; number++ {
		if number >= 32 || keep&(1<<number) == 0 {
			_, _, _ = syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, number, 0)
		}
	}
	_, _, _ = syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0)
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&header, &data[0]) != nil {
		return
	}
	kept := data[0].Permitted & keep
	data = [2]unix.CapUserData{{Effective: kept, Permitted: kept}}
	_, _, _ = syscall.AllThreadsSyscall(unix.SYS_CAPSET,
		uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data[0])), 0) //nolint:gosec // what the call takes
}

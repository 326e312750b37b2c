package nodelocal

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Sets of capabilities, as bits.
const (
	// childCaps are what the cache needs until its ports are bound and it has become another
	// user, which leaves it without any.
	childCaps = 1<<unix.CAP_NET_BIND_SERVICE | 1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID
	// supervisorCaps are those, for each start of a cache, and what the supervisor needs
	// itself: for link and rules, and to end a cache of another user.
	supervisorCaps = childCaps | 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_KILL
)

// hasCapability reports whether this process has a capability.
func hasCapability(number uint) bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	return unix.Capget(&header, &data[0]) == nil && data[number/32].Effective&(1<<(number%32)) != 0
}

// limitCapabilities gives up all capabilities but those of keep, for this process and all that
// it starts. What cannot be given up stays: this is a second line of defence.
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

// Package privilege decides which user a program that was started as root
// becomes, and makes it that user.
//
// Use [Choose] before the program opens sockets and [Identity.Drop] after.
package privilege

import (
	"errors"
	"fmt"
	"os/user"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// defaultUser is the user that a program started as root becomes: "nobody", by
// number because images have no list of users.
const defaultUser = 65534

// Identity is what the program runs as once its sockets are open.
type Identity struct {
	// UID and GID are the numbers of the user and the group.
	UID, GID int
	// Change is false when the user stays as it is.
	Change bool
	// Asked is whether the user or the group was given.
	Asked bool
	// KeepBind is whether ports below 1024 must still be bound afterwards. The
	// caller sets it.
	KeepBind bool
}

// unknownUserError says that a name has no number.
type unknownUserError string

func (e unknownUserError) Error() string { return "unknown user or group: " + string(e) }

// Choose decides on the user and group from their names or numbers, "" when not
// given. Only root can change; with stay nothing changes.
func Choose(userName, groupName string, stay bool) (Identity, error) {
	id := Identity{UID: defaultUser, GID: defaultUser, Asked: userName != "" || groupName != ""}
	if userName != "" {
		uid, gid, err := lookupUser(userName)
		if err != nil {
			return Identity{}, err
		}
		id.UID, id.GID = uid, gid
	}
	if groupName != "" {
		gid, err := lookupGroup(groupName)
		if err != nil {
			return Identity{}, err
		}
		id.GID = gid
	}
	id.Change = !stay && syscall.Geteuid() == 0 && (id.UID != 0 || id.GID != syscall.Getegid())
	return id, nil
}

// lookupUser returns the numbers of a user and its group. root and nobody are
// known without a list of users; a number that is in no list is its own group.
func lookupUser(name string) (uid, gid int, err error) {
	if u, err := user.Lookup(name); err == nil {
		return numbers(u)
	}
	switch name {
	case "root":
		return 0, 0, nil
	case "nobody":
		return defaultUser, defaultUser, nil
	}
	uid, err = number(name)
	if err != nil {
		return 0, 0, unknownUserError(name)
	}
	if u, err := user.LookupId(name); err == nil {
		return numbers(u)
	}
	return uid, uid, nil
}

func numbers(u *user.User) (uid, gid int, err error) {
	uid, uidErr := number(u.Uid)
	gid, gidErr := number(u.Gid)
	return uid, gid, errors.Join(uidErr, gidErr)
}

func lookupGroup(name string) (int, error) {
	if g, err := user.LookupGroup(name); err == nil {
		return number(g.Gid)
	}
	if name == "root" {
		return 0, nil
	}
	gid, err := number(name)
	if err != nil {
		return 0, unknownUserError(name)
	}
	return gid, nil
}

// number reads a user's or group's number.
func number(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 31)
	return int(n), err
}

// Drop changes the user and group of every thread.
func (id Identity) Drop() error {
	if !id.Change {
		return nil
	}
	if err := syscall.Setgroups([]int{}); err != nil {
		return fmt.Errorf("failed to drop groups: %w", err)
	}
	if err := syscall.Setgid(id.GID); err != nil {
		return fmt.Errorf("failed to change group-id to %d: %w", id.GID, err)
	}
	if id.KeepBind {
		if _, _, errno := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_SET_KEEPCAPS, 1, 0); errno != 0 {
			return fmt.Errorf("failed to keep capabilities: %w", errno)
		}
	}
	if err := syscall.Setuid(id.UID); err != nil {
		return fmt.Errorf("failed to change user-id to %d: %w", id.UID, err)
	}
	if id.KeepBind {
		return keepBindCapability()
	}
	return nil
}

// keepBindCapability gives up every capability but that for low ports.
func keepBindCapability() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	data[0].Effective = 1 << unix.CAP_NET_BIND_SERVICE
	data[0].Permitted = data[0].Effective
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET,
		uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data[0])), 0) //nolint:gosec // what the call takes
	if errno != 0 {
		return fmt.Errorf("failed to keep the right to bind low ports: %w", errno)
	}
	return nil
}

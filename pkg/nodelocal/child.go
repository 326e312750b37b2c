package nodelocal

import (
	"crypto/rand"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/kube-dns/kube-dns/pkg/cgroup"
)

// childEnv is the environment variable that marks a process as the child, and describes the
// sockets that it inherits. The pipe with the supervisor's state closes when the supervisor ends.
const childEnv = "DNSCACHE_NODE_LOCAL_CHILD"

// childMark begins the value of childEnv, which must not be empty.
const childMark = "cache"

// The first options that a child gets besides those of the user. [ready] looks for them.
const (
	shareOption  = "--share-port"
	listenOption = "--listen-address="
)

// orphanTime is how long a cache goes on answering after its supervisor has ended. The kernel
// closes the supervisor's descriptors one after another, and may remove the rules last.
const orphanTime = time.Second

// becomeChild drops the rights that a cache does not need, and arranges for this process to
// end when the supervisor ends. It returns the Node that receives the supervisor's state.
// PR_SET_PDEATHSIG would not do: the kernel clears it when the process changes its user.
func becomeChild() *Node {
	node := &Node{
		inherited: inherited(strings.TrimPrefix(os.Getenv(childEnv), childMark)),
		handOver:  os.NewFile(handOverFD, "handover"),
	}
	syscall.CloseOnExec(handOverFD)
	_ = os.Unsetenv(childEnv)
	// The kernel has named the process after /proc/self/exe.
	_ = os.WriteFile("/proc/self/comm", []byte(filepath.Base(os.Args[0])), 0)
	limitCapabilities(childCaps)
	saveMemory()
	syscall.CloseOnExec(stateFD)
	parent := os.NewFile(stateFD, "supervisor")
	go func() {
		node.follow(parent)
		time.Sleep(orphanTime)
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}()
	return node
}

// child is a running cache process.
type child struct {
	cmd *exec.Cmd
	// pipe carries the state to the cache. It stays open for as long as the supervisor runs.
	pipe *os.File
	// private is a loopback address that only this child answers on.
	private netip.AddrPort
}

// watcher learns what a cache does. Its functions are called from other goroutines.
type watcher struct {
	exited func(*child, int)           // once, with the exit code, negative for a signal
	handed func(netip.AddrPort, []int) // for each address, with duplicates of its sockets
}

// startChild starts this program as a cache, which gets the sockets of the previous one from
// sockets.
func startChild(cfg *config, sockets held, watch watcher) (*child, error) {
	c := &child{private: netip.AddrPortFrom(privateAddr(), dnsPort)}
	listen := []string{c.private.Addr().String()}
	for _, addr := range cfg.addrs {
		listen = append(listen, addr.String())
	}
	args := append(append([]string(nil), cfg.rest...),
		shareOption, listenOption+strings.Join(listen, ","), "--lameduck="+cfg.lameduck.Round(time.Millisecond).String())
	if cfg.upstream != "" {
		args = append(args, "--server-replicas="+cfg.upstream)
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer read.Close()
	ours, theirs, err := handOverPair()
	if err != nil {
		_ = write.Close()
		return nil, err
	}
	defer theirs.Close()
	files, text := sockets.files(cfg.addrs)
	defer closeFiles(files)
	c.pipe = write
	c.cmd = exec.Command("/proc/self/exe", args...)
	c.cmd.Args[0] = os.Args[0]
	c.cmd.Env = append(os.Environ(), childEnv+"="+childMark+text)
	memory, _ := cgroup.MemoryLimit(os.DirFS("/"))
	c.cmd.Env = append(c.cmd.Env, limits(cfg.cpus, memory)...)
	c.cmd.Stdout, c.cmd.Stderr = os.Stdout, os.Stderr
	c.cmd.ExtraFiles = append([]*os.File{read, theirs}, files...) // from stateFD on
	// A terminal's signals reach only the supervisor, which passes them on in the order that
	// it needs.
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.cmd.Start(); err != nil {
		_, _ = write.Close(), ours.Close()
		return nil, err
	}
	go receiveSockets(ours, watch.handed)
	go func() {
		_ = c.cmd.Wait()
		_ = write.Close()
		code := c.cmd.ProcessState.ExitCode()
		if status, ok := c.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			code = -int(status.Signal())
		}
		watch.exited(c, code)
	}()
	return c, nil
}

// limits returns the environment variables that keep the cache small, except those that are
// set already. cpus is the number of CPUs that it may use; memory is the container's limit in octets, or 0.
func limits(cpus int, memory int64) (env []string) {
	// The cache has sockets and buffers for each CPU that it may use, but needs only a few: one
	// answers more than 100 000 queries in a second.
	const mostCPUs = 8
	if cpus > mostCPUs && os.Getenv("GOMAXPROCS") == "" {
		env = append(env, fmt.Sprintf("GOMAXPROCS=%d", mostCPUs))
	}
	// Some of the memory is for the supervisor and a probe: if the container exceeds its limit,
	// the kernel may end all of its processes.
	const others = 8 << 20
	if memory > 0 && os.Getenv("GOMEMLIMIT") == "" {
		env = append(env, fmt.Sprintf("GOMEMLIMIT=%d", cgroup.Share(memory-min(others, memory/4))))
	}
	return env
}

// privateAddr is a random loopback address, which no other instance has.
func privateAddr() netip.Addr {
	var b [2]byte
	_, _ = rand.Read(b[:])
	return netip.AddrFrom4([4]byte{127, 53, b[0], 1 | b[1]})
}

// isPrivate reports whether addr is in the range from which privateAddr draws.
func isPrivate(addr netip.Addr) bool {
	return addr.Is4() && [2]byte(addr.AsSlice()[:2]) == [2]byte{127, 53}
}

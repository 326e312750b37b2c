package addon

import (
	"errors"
	"log"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// insideVariable marks a process in the namespaces of RunIsolated; it holds the
// folder that prepare filled.
const insideVariable = "KUBE_DNS_TEST_ISOLATED"

// Isolated returns the folder that prepare filled, "" if the process is not in
// the namespaces of [RunIsolated].
func Isolated() string { return os.Getenv(insideVariable) }

// RunIsolated runs the tests in network and mount namespaces of their own, so
// that they may bind port 53 and replace files of /etc. prepare, which runs
// outside, fills a folder; setup is a shell script that runs inside before the
// tests, with the folder as $DIR. Loopback is up. Without root the tests run
// where they are, and [Isolated] returns "". It returns the exit code.
func RunIsolated(m *testing.M, prepare func(dir string) error, setup string) int {
	if Isolated() != "" || os.Getuid() != 0 {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "kube-dns-isolated")
	if err != nil {
		log.Print(err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := prepare(dir); err != nil {
		log.Print(err)
		return 1
	}
	script := "set -e\nDIR=$" + insideVariable + "\nip link set lo up\n" + setup + "\nexec \"$@\""
	cmd := exec.Command("sh", append([]string{"-c", script, "sh"}, os.Args...)...)
	cmd.Env = append(os.Environ(), insideVariable+"="+dir)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Unshareflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL,
	}
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		log.Print(err)
		return 1
	}
	return cmd.ProcessState.ExitCode()
}

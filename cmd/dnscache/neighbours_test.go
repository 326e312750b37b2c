package main

import (
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/querylog"
)

// --add-mac sends the hardware address that the kernel knows of a client on another host, from
// the first query of that client on.
func TestAddMAC(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	ip(t, "link add veth0 type veth peer name other0 address 02:00:00:00:00:1f")
	ip(t, "addr add 10.1.2.1/24 dev veth0")
	ip(t, "link set veth0 up")
	ask := otherHost(t)
	told := make(chan string, 64)
	up := tellingServer(t, told)
	for i, tt := range []struct {
		options []string
		want    string
	}{
		{[]string{"--add-mac"}, "65001:02000000001f"},
		{[]string{"--add-mac=text"}, "65073:" + hex.EncodeToString([]byte("02:00:00:00:00:1f"))},
		{[]string{"--add-mac=base64"}, "65073:" + hex.EncodeToString([]byte("AgAAAAAf"))},
		{[]string{"--add-mac", "--add-mac=text"}, "65001:02000000001f 65073:" + hex.EncodeToString([]byte("02:00:00:00:00:1f"))},
	} {
		t.Run(strings.Join(tt.options, " "), func(t *testing.T) {
			startInside(t, append(tt.options, "--server="+up)...)
			for range 2 { // an answer that may depend on the client is not cached
				if err := ask(fmt.Sprintf("www%d.ex.", i)); err != nil {
					t.Fatal(err)
				}
				if got := <-told; got != tt.want {
					t.Errorf("the server was told %q, want %q", got, tt.want)
				}
			}
			if got := at("127.0.0.1", fmt.Sprintf("lo%d.ex.", i), dns.TypeA); got != "NOERROR" {
				t.Errorf("over lo: %q", got)
			} else if got := <-told; got != "" {
				t.Errorf("of a client on lo the server was told %q", got)
			}
		})
	}
}

// otherHost moves other0 into a network namespace of its own, with the address 10.1.2.9, and
// returns a function that asks 10.1.2.1 from there.
func otherHost(t *testing.T) func(name string) error {
	t.Helper()
	work, errs, thread := make(chan func() error), make(chan error), make(chan int)
	go func() {
		runtime.LockOSThread() // never undone: the thread ends with the goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		thread <- unix.Gettid()
		errs <- err
		for f := range work {
			errs <- f()
		}
	}()
	t.Cleanup(func() { close(work) })
	tid := <-thread
	if err := <-errs; err != nil {
		t.Fatal(err)
	}
	ip(t, fmt.Sprintf("link set other0 netns /proc/%d/task/%d/ns/net", os.Getpid(), tid))
	there := func(f func() error) error {
		work <- f
		return <-errs
	}
	if err := there(func() error {
		return exec.Command("sh", "-c", "ip addr add 10.1.2.9/24 dev other0 && ip link set other0 up").Run()
	}); err != nil {
		t.Fatal(err)
	}
	return func(name string) error {
		return there(func() error {
			q := new(dns.Msg)
			q.SetQuestion(name, dns.TypeA)
			_, _, err := (&dns.Client{Timeout: patience}).Exchange(q, "10.1.2.1:5353")
			return err
		})
	}
}

// tellingServer answers every question without records, sends the EDNS options of each to told,
// and returns its address in the spelling of --server.
func tellingServer(t *testing.T, told chan<- string) string {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			q, m := new(dns.Msg), new(dns.Msg)
			if q.Unpack(buf[:n]) != nil {
				continue
			}
			var options []string
			if opt := q.IsEdns0(); opt != nil {
				for _, o := range opt.Option {
					if o, ok := o.(*dns.EDNS0_LOCAL); ok {
						options = append(options, fmt.Sprintf("%d:%x", o.Code, o.Data))
					}
				}
			}
			told <- strings.Join(options, " ")
			if out, err := m.SetReply(q).Pack(); err == nil {
				_, _ = conn.WriteToUDPAddrPort(out, from)
			}
		}
	}()
	return querylog.ServerText(conn.LocalAddr().(*net.UDPAddr).AddrPort())
}

package listener

import (
	"bufio"
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// bindEnv makes the test binary a second process that binds the address in it,
// says how that went, and keeps the port until its input ends.
const bindEnv = "LISTENER_TEST_BIND"

func TestMain(m *testing.M) {
	if addr := os.Getenv(bindEnv); addr != "" {
		os.Exit(bindAndWait(addr))
	}
	os.Exit(m.Run())
}

func bindAndWait(addr string) int {
	s, err := Listen(Config{Addrs: []netip.AddrPort{netip.MustParseAddrPort(addr)}, Handler: handlerFunc(echo)})
	if err != nil {
		os.Stdout.WriteString(err.Error() + "\n")
		return 1
	}
	defer s.Close()
	os.Stdout.WriteString("bound " + s.Addrs()[0].String() + "\n")
	bufio.NewReader(os.Stdin).ReadString('\n')
	return 0
}

// second starts another process that binds addr, and returns its first line.
func second(t *testing.T, addr string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), bindEnv+"="+addr)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
		cancel()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// SO_REUSEPORT would let two servers of one user share the port in silence.
func TestTwoProcessesOnOnePort(t *testing.T) {
	first := strings.TrimPrefix(second(t, "127.0.0.1:0"), "bound ")
	if _, err := netip.ParseAddrPort(first); err != nil {
		t.Fatal(err)
	}
	if got, want := second(t, first), "listening on tcp "+first+": address already in use"; got != want {
		t.Errorf("second process: %q, want %q", got, want)
	}
}

// Racing processes: exactly one gets the port, however the starts interleave.
func TestManyServersRaceForOnePort(t *testing.T) {
	addr := quietPort(t)
	const racers = 8
	results := make(chan *Server, racers)
	for range racers {
		go func() {
			s, _ := Listen(Config{Addrs: []netip.AddrPort{addr}, sockets: 4, Handler: handlerFunc(echo)})
			results <- s
		}()
	}
	bound := 0
	for range racers {
		if s := <-results; s != nil {
			bound++
			defer s.Close()
		}
	}
	if bound != 1 {
		t.Errorf("%d of %d servers have the port, want 1", bound, racers)
	}
}

// A UDP socket that shares its port, as another DNS server's would.
func TestPortSharedByAnother(t *testing.T) {
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		return setOptions(raw, option{unix.SOL_SOCKET, unix.SO_REUSEPORT, 1}, option{unix.SOL_SOCKET, unix.SO_REUSEADDR, 1})
	}}
	addr := quietPort(t)
	other, err := lc.ListenPacket(t.Context(), "udp4", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for _, try := range []netip.AddrPort{addr, netip.AddrPortFrom(netip.IPv4Unspecified(), addr.Port())} {
		s, err := Listen(Config{Addrs: []netip.AddrPort{try}, Handler: handlerFunc(echo)})
		if err == nil {
			s.Close()
			t.Errorf("%v: bound beside another's socket", try)
			continue
		}
		if want := "listening on udp " + try.String() + ": address already in use"; err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
	}
	// Nothing stays bound after an error.
	l, err := net.Listen("tcp4", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}

// quietPort returns a port of 127.0.0.1 that is free on every address and that
// the kernel gives to nobody who asks for any port. Tests of other packages take
// theirs from other ranges.
func quietPort(t *testing.T) netip.AddrPort {
	t.Helper()
	for range 100 {
		port := uint16(16000 + rand.IntN(1000))
		s, err := Listen(Config{
			Addrs:   []netip.AddrPort{netip.AddrPortFrom(netip.IPv4Unspecified(), port)},
			Handler: handlerFunc(echo),
		})
		if err == nil {
			s.Close()
			return netip.AddrPortFrom(loopback4.Addr(), port)
		}
	}
	t.Fatal("no free port")
	return netip.AddrPort{}
}

func TestAddrs(t *testing.T) {
	s := start(t, Config{
		Addrs: []netip.AddrPort{
			loopback4,
			netip.MustParseAddrPort("[::1]:0"),
			netip.MustParseAddrPort("[::ffff:127.0.0.3]:0"),
		},
		Handler: handlerFunc(echo),
	})
	got := s.Addrs()
	if len(got) != 3 {
		t.Fatalf("got %v", got)
	}
	for i, want := range []string{"127.0.0.1", "::1", "127.0.0.3"} {
		if got[i].Addr().String() != want || got[i].Port() == 0 {
			t.Errorf("address %d is %v, want %s with a port", i, got[i], want)
		}
		tc, err := net.Dial("tcp", got[i].String())
		if err != nil {
			t.Errorf("TCP has another port: %v", err)
			continue
		}
		tc.Close()
	}
	repeated := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.4"), got[0].Port())
	again := start(t, Config{Addrs: []netip.AddrPort{repeated, repeated}, Handler: handlerFunc(echo)})
	if n := len(again.Addrs()); n != 1 {
		t.Errorf("a repeated address was bound %d times", n)
	}
}

func TestBindErrorNamesAddress(t *testing.T) {
	_, err := Listen(Config{Addrs: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:5353")}, Handler: handlerFunc(echo)})
	if want := "listening on tcp 192.0.2.1:5353: cannot assign requested address"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

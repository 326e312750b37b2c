package listener

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// portTries is how often to try to find a port that is free for both UDP and TCP.
const portTries = 32

// bound holds the sockets of one address.
type bound struct {
	addr netip.AddrPort // with the real port
	udp  []*net.UDPConn
	tcp  *net.TCPListener
}

func (b *bound) close() {
	if b.tcp != nil {
		_ = b.tcp.Close()
	}
	for _, c := range b.udp {
		_ = c.Close()
	}
}

// bind opens the TCP listener and cfg.sockets UDP sockets of addr, unless it has inherited
// them. For port 0 it chooses a port that is free for both protocols.
func bind(addr netip.AddrPort, cfg *Config) (*bound, error) {
	if files, ok := cfg.Inherited[addr]; ok {
		delete(cfg.Inherited, addr)
		return inherit(addr, files)
	}
	//nolint:forbidigo // binding a literal address does not wait for anything
	ctx := context.Background()
	for try := 1; ; try++ {
		b, err := bindOnce(ctx, addr, cfg)
		if err == nil || addr.Port() != 0 || try == portTries || !errors.Is(err, unix.EADDRINUSE) {
			return b, err
		}
	}
}

func bindOnce(ctx context.Context, addr netip.AddrPort, cfg *Config) (b *bound, err error) {
	b = &bound{addr: addr}
	defer func() {
		if err != nil {
			b.close()
			b = nil
		}
	}()
	// The idle timeout finds dead peers, so keep-alive probes are not needed.
	lc := net.ListenConfig{KeepAlive: -1}
	if cfg.Share {
		lc.Control = shareControl(addr)
		lc.SetMultipathTCP(false) // which steerTo does not support
	}
	l, err := lc.Listen(ctx, network("tcp", addr), addr.String())
	if err != nil {
		return b, bindError("tcp", addr, err)
	}
	b.tcp = l.(*net.TCPListener)
	b.addr = netip.AddrPortFrom(addr.Addr(), l.Addr().(*net.TCPAddr).AddrPort().Port())
	for i := range cfg.sockets {
		c, err := bindUDP(ctx, b.addr, i == 0 && !cfg.Share, cfg)
		if err != nil {
			return b, bindError("udp", b.addr, err)
		}
		b.udp = append(b.udp, c)
	}
	return b, nil
}

// shareControl lets a socket share its port with other processes that allow it, and be
// bound to an address that no interface has yet.
func shareControl(addr netip.AddrPort) func(_, _ string, raw syscall.RawConn) error {
	free := option{unix.IPPROTO_IP, unix.IP_FREEBIND, 1}
	if addr.Addr().Is6() {
		free = option{unix.IPPROTO_IPV6, unix.IPV6_FREEBIND, 1}
	}
	return func(_, _ string, raw syscall.RawConn) error {
		return setOptions(raw, option{unix.SOL_SOCKET, unix.SO_REUSEPORT, 1}, free)
	}
}

// bindUDP binds one socket. Without [Config.Share] the first socket of an address is
// bound exclusively, so that it is an error if any process has the port, even if that
// process would share it. Afterwards the port is opened for the other sockets.
func bindUDP(ctx context.Context, addr netip.AddrPort, exclusive bool, cfg *Config) (*net.UDPConn, error) {
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		if exclusive {
			return nil
		}
		return setOptions(raw, option{unix.SOL_SOCKET, unix.SO_REUSEPORT, 1})
	}}
	if cfg.Share {
		lc.Control = shareControl(addr)
	}
	pc, err := lc.ListenPacket(ctx, network("udp", addr), addr.String())
	if err != nil {
		return nil, err
	}
	c := pc.(*net.UDPConn)
	raw, err := c.SyscallConn()
	if err == nil {
		var opts []option
		if exclusive {
			opts = append(opts, option{unix.SOL_SOCKET, unix.SO_REUSEPORT, 1})
		}
		if addr.Addr().IsUnspecified() {
			if addr.Addr().Is4() {
				opts = append(opts, option{unix.IPPROTO_IP, unix.IP_PKTINFO, 1})
			} else {
				opts = append(opts, option{unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1})
			}
		}
		err = setOptions(raw, opts...)
	}
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	// The following options are optional: the server also works without them.
	_ = c.SetReadBuffer(socketBufferBytes)
	_ = c.SetWriteBuffer(socketBufferBytes)
	// A forged "fragmentation needed" must not shrink the path MTU of answers.
	if addr.Addr().Is4() {
		_ = setOptions(raw, option{unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_OMIT})
	} else {
		_ = setOptions(raw, option{unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_OMIT})
	}
	return c, nil
}

// option is one integer socket option.
type option struct{ level, name, value int }

// setOptions sets opts in order and stops at the first that fails.
func setOptions(raw syscall.RawConn, opts ...option) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		for _, o := range opts {
			if err := unix.SetsockoptInt(int(fd), o.level, o.name, o.value); err != nil {
				failed = os.NewSyscallError("setsockopt", err)
				return
			}
		}
	})
	return errors.Join(err, failed)
}

// network names the single-family network of addr: "udp4", "udp6", and so on.
// The 6 variants set IPV6_V6ONLY.
func network(proto string, addr netip.AddrPort) string {
	if addr.Addr().Is4() {
		return proto + "4"
	}
	return proto + "6"
}

// bindError returns an error with protocol, address and reason. The error of package
// net would repeat the address.
func bindError(proto string, addr netip.AddrPort, err error) error {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		err = errno
	}
	return fmt.Errorf("listening on %s %v: %w", proto, addr, err)
}

package netif

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/kube-dns/kube-dns/pkg/internal/netlink"
	"github.com/kube-dns/kube-dns/pkg/internal/wake"
)

// Watch hears of interfaces and addresses that come and go.
type Watch struct {
	file    *os.File
	changed chan struct{}
}

// NewWatch starts to listen for changes. The caller must call Run, which closes
// the watch.
func NewWatch() (*Watch, error) {
	fd, err := netlink.Open(unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR)
	if err != nil {
		return nil, err
	}
	return &Watch{file: os.NewFile(uintptr(fd), "netlink"), changed: make(chan struct{}, 1)}, nil
}

// Changed receives an item after one or more changes. Call [All] for what holds
// now.
func (w *Watch) Changed() <-chan struct{} { return w.changed }

// Run reports changes until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { _ = w.file.Close() })
	defer stop()
	buf := make([]byte, 1<<16)
	for {
		_, err := w.file.Read(buf)
		if err != nil && !errors.Is(err, unix.ENOBUFS) {
			return
		}
		wake.Up(w.changed)
	}
}

package kubewatch_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/kubefiles"
	"github.com/kube-dns/kube-dns/pkg/kubewatch"
	"github.com/kube-dns/kube-dns/pkg/treecache"
)

// addresses returns what name has, as text.
func addresses(tree *treecache.Tree, name string) string {
	answer := tree.Snapshot().Lookup([]byte(dnsname.MustParse(name)))
	out := []netip.Addr{}
	for i := range answer.Len() {
		r := answer.At(i)
		out = append(out, r.Addr)
	}
	return fmt.Sprint(out)
}

// The way from a folder of files to the tree, and what a changed file does.
func TestFilesToTree(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../manifests/examples")); err != nil {
		t.Fatal(err)
	}
	files, err := kubefiles.Open(kubefiles.Config{Path: dir, Logger: slog.New(slog.DiscardHandler), Poll: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	tree := treecache.New(dnsname.MustParse("cluster.local"))
	w := kubewatch.New(kubewatch.Config{
		Sources: kubewatch.Sources{Services: files.Services(), Slices: files.Slices()},
		Tree:    tree, Logger: slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	go func() { ended <- files.Run(ctx) }()
	go func() { ended <- w.Run(ctx) }()
	defer func() {
		cancel()
		<-ended
		<-ended
	}()
	select {
	case <-w.Synced():
	case <-time.After(20 * time.Second):
		t.Fatal("not synced")
	}
	for name, want := range map[string]string{
		"kube-dns.kube-system.svc.cluster.local": "[10.96.0.10]",
		"web.default.svc.cluster.local":          "[10.96.0.80 fd00:96::80]",
		"db-0.db.data.svc.cluster.local":         "[10.244.1.10 fd00:244:1::10]",
		"db-2.db.data.svc.cluster.local":         "[]", // not ready
		"ldap.data.svc.cluster.local":            "[10.0.5.20]",
	} {
		if got := addresses(tree, name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	changed := "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {clusterIP: 10.96.0.81}\n"
	if err := os.WriteFile(filepath.Join(dir, "web.yaml"), []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); addresses(tree, "web.default.svc.cluster.local") != "[10.96.0.81]"; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the change of a file is not visible")
		}
	}
}

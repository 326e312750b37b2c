package kubefiles_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kube-dns/kube-dns/pkg/kubefiles"
)

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "objects")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	content := `
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: 10.96.0.80}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
`
	if err := os.WriteFile(filepath.Join(dir, "web.yaml"), []byte(content), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	files, err := kubefiles.Open(kubefiles.Config{Path: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println(err)
		return
	}
	services, err := files.Services().ListWithContext(context.Background(), metav1.ListOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = meta.EachListItem(services, func(o runtime.Object) error {
		s := o.(metav1.Object)
		fmt.Println(s.GetNamespace(), s.GetName(), s.GetResourceVersion())
		return nil
	})
	// Output:
	// default web 1
}

// Package manifests checks the files that users give to kubectl: every document decodes
// strictly, every probe requests a path that is served, and the rendered single file has the
// same content as its parts.
package manifests

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
)

const root = "../../manifests"

// prometheusFile reports whether a file is for Prometheus and not for Kubernetes.
func prometheusFile(path string) bool {
	dir, name := filepath.Split(path)
	return filepath.Base(dir) == "monitoring" && strings.HasPrefix(name, "rules")
}

// decode reads every document of a file, refusing fields that the API does
// not know.
func decode(t *testing.T, data []byte) []runtime.Object {
	t.Helper()
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	var objects []runtime.Object
	docs := yaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(data)))
	buf := make([]byte, 1<<20)
	for {
		n, err := docs.Read(buf)
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			t.Fatal(err)
		}
		o, _, err := decoder.Decode(bytes.Clone(buf[:n]), nil, nil)
		if err != nil {
			t.Errorf("document %d: %v", len(objects)+1, err)
			continue
		}
		objects = append(objects, o)
	}
}

func TestEveryDocumentDecodesStrictly(t *testing.T) {
	files := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if path == chart {
			return fs.SkipDir // templates, which are no YAML yet
		}
		if err != nil || d.IsDir() || filepath.Ext(path) != ".yaml" || d.Name() == "kustomization.yaml" || prometheusFile(path) {
			return err
		}
		files++
		t.Run(strings.TrimPrefix(path, root+"/"), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if len(decode(t, data)) == 0 {
				t.Error("holds no object")
			}
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files == 0 {
		t.Fatal("no manifests")
	}
}

func read[T runtime.Object](t *testing.T, name string) T {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	objects := decode(t, data)
	if len(objects) != 1 {
		t.Fatalf("%s holds %d objects, want 1", name, len(objects))
	}
	return objects[0].(T)
}

// The role allows only reading the objects from which DNS records are made.
func TestRoleIsReadOnly(t *testing.T) {
	role := read[*rbacv1.ClusterRole](t, "base/clusterrole.yaml")
	binding := read[*rbacv1.ClusterRoleBinding](t, "base/clusterrolebinding.yaml")
	if binding.RoleRef.Name != role.Name {
		t.Errorf("the binding grants %s, the role is %s", binding.RoleRef.Name, role.Name)
	}
	for _, rule := range role.Rules {
		for _, verb := range rule.Verbs {
			if verb != "list" && verb != "watch" {
				t.Errorf("verb %s on %v", verb, rule.Resources)
			}
		}
		if slices.Contains(rule.Resources, "secrets") || slices.Contains(rule.Resources, "*") {
			t.Errorf("resources %v", rule.Resources)
		}
	}
}

func TestRenderedFile(t *testing.T) {
	render := func(args ...string) []byte {
		cmd := exec.Command("../../hack/render.sh", args...)
		cmd.Env = append(os.Environ(), "KUBECTL="+kubectl(t))
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	want, err := os.ReadFile(filepath.Join(root, "kube-dns.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(render(), want) {
		t.Error("manifests/kube-dns.yaml is not what hack/render.sh prints; write it again")
	}
	for name, folder := range map[string]string{"base": "", "direct": root + "/overlays/direct", "dual-stack": root + "/overlays/dual-stack"} {
		t.Run(name, func(t *testing.T) { checkRendered(t, render("10.0.0.10", "example.internal.", folder)) })
	}
}

// checkRendered checks that the requested address and domain occur, and the previous ones no
// longer do.
func checkRendered(t *testing.T, other []byte) {
	t.Helper()
	if bytes.Contains(other, []byte("cluster.local")) || bytes.Contains(other, []byte("10.96.0.10")) {
		t.Error("another domain and address leave the old ones behind")
	}
	for _, o := range decode(t, other) {
		s, ok := o.(*corev1.Service)
		if !ok {
			continue
		}
		if s.Spec.ClusterIP != "10.0.0.10" || len(s.Spec.ClusterIPs) > 0 && s.Spec.ClusterIPs[0] != "10.0.0.10" {
			t.Errorf("clusterIP %s, clusterIPs %v, want 10.0.0.10", s.Spec.ClusterIP, s.Spec.ClusterIPs)
		}
	}
}

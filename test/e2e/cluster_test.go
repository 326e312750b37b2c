package e2e

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/kube-dns/kube-dns/test/addon"
)

// cluster is an API server with its etcd. There are no controllers and no nodes.
type cluster struct {
	dir       string
	ca        *authority
	url       string
	etcdURL   string
	args      []string // of the API server
	admin     *http.Client
	apiserver *addon.Process
}

// newCluster returns a cluster whose etcd runs and whose API server does not.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{dir: t.TempDir(), ca: newAuthority(t)}
	ports := addon.FreePorts(t, 3)
	c.etcdURL = fmt.Sprintf("http://127.0.0.1:%d", ports[0])
	peer := fmt.Sprintf("http://127.0.0.1:%d", ports[1])
	addon.Start(t, filepath.Join(os.Getenv(kubeBin), "etcd"),
		"--data-dir="+filepath.Join(c.dir, "etcd"), "--unsafe-no-fsync", "--log-level=warn",
		"--listen-client-urls="+c.etcdURL, "--advertise-client-urls="+c.etcdURL,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=default="+peer)

	port := strconv.Itoa(ports[2])
	c.url = "https://127.0.0.1:" + port
	_, signing := newKey(t)
	server := c.ca.server(t)
	c.args = []string{
		"--etcd-servers=" + c.etcdURL,
		"--bind-address=127.0.0.1", "--secure-port=" + port, "--advertise-address=127.0.0.1",
		// The tests need no endpoints of the API server itself, and 127.0.0.1 is not accepted
		// as one.
		"--endpoint-reconciler-type=none",
		"--service-cluster-ip-range=10.96.0.0/16,fd00:96::/112",
		"--authorization-mode=RBAC",
		"--client-ca-file=" + c.file(t, "ca.pem", c.ca.pem),
		"--tls-cert-file=" + c.file(t, "server.pem", server.cert),
		"--tls-private-key-file=" + c.file(t, "server.key", server.key),
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + c.file(t, "signing.key", signing),
		"--service-account-signing-key-file=" + filepath.Join(c.dir, "signing.key"),
		"--shutdown-delay-duration=0s", "--profiling=false",
	}
	c.admin = c.client(t, c.ca.client(t, "admin", "system:masters"))
	return c
}

// file writes a file of the cluster and returns its path.
func (c *cluster) file(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(c.dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (c *cluster) client(t *testing.T, as pair) *http.Client {
	t.Helper()
	cert, err := tls.X509KeyPair(as.cert, as.key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(c.ca.pem)
	transport := &http.Transport{TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: roots}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Timeout: 30 * time.Second, Transport: transport}
}

// startAPI starts the API server and waits until it is ready.
func (c *cluster) startAPI(t *testing.T) {
	t.Helper()
	c.apiserver = addon.Start(t, filepath.Join(os.Getenv(kubeBin), "kube-apiserver"), c.args...)
	var last string
	eventually(t, 2*time.Minute, func() bool {
		c.apiserver.Running(t)
		status, body, err := c.do(t, http.MethodGet, "/readyz", "", nil)
		last = fmt.Sprint(status, " ", err, " ", body)
		return err == nil && status == http.StatusOK
	}, func() string { return "the API server is not ready: " + last })
}

// stopAPI kills the API server.
func (c *cluster) stopAPI() { c.apiserver.Kill() }

// do sends one request as the administrator.
func (c *cluster) do(t *testing.T, method, path, contentType string, body []byte) (status int, reply string, err error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, c.url+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := c.admin.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(content), err
}

// path returns the API path of the object that text describes.
func path(t *testing.T, text string) string {
	t.Helper()
	var head struct {
		APIVersion, Kind string
		Metadata         struct{ Name, Namespace string }
	}
	if err := yaml.Unmarshal([]byte(text), &head); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	group := "/apis/" + head.APIVersion
	if head.APIVersion == "v1" {
		group = "/api/v1"
	}
	resource := strings.ToLower(head.Kind) + "s"
	switch {
	case head.Kind == "Endpoints":
		resource = "endpoints"
	case strings.HasPrefix(head.Kind, "Cluster"), head.Kind == "Node", head.Kind == "Namespace", head.Kind == "CustomResourceDefinition":
		return fmt.Sprintf("%s/%s/%s", group, resource, head.Metadata.Name)
	}
	namespace := head.Metadata.Namespace
	if namespace == "" {
		namespace = "default"
	}
	return fmt.Sprintf("%s/namespaces/%s/%s/%s", group, namespace, resource, head.Metadata.Name)
}

// apply creates or changes the object that text describes in YAML.
func (c *cluster) apply(t *testing.T, text string) {
	t.Helper()
	// Right after the start, RBAC or the namespace may lag behind readiness.
	var last string
	eventually(t, time.Minute, func() bool {
		status, reply, err := c.do(t, http.MethodPatch, path(t, text)+"?fieldManager=e2e&force=true", "application/apply-patch+yaml", []byte(text))
		last = fmt.Sprint(status, " ", err, " ", reply)
		return err == nil && status/100 == 2
	}, func() string { return "apply: " + last + "\n" + text })
}

// remove deletes the object that text describes.
func (c *cluster) remove(t *testing.T, text string) {
	t.Helper()
	status, reply, err := c.do(t, http.MethodDelete, path(t, text), "", nil)
	if err != nil || status/100 != 2 {
		t.Fatalf("delete %s: %d %v %s", path(t, text), status, err, reply)
	}
}

// kubeconfig returns the path of a kubeconfig for the user.
func (c *cluster) kubeconfig(t *testing.T, user string) string {
	t.Helper()
	as := c.ca.client(t, user)
	content, err := yaml.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "e2e",
		"contexts": []any{map[string]any{"name": "e2e", "context": map[string]any{"cluster": "e2e", "user": "e2e"}}},
		"clusters": []any{map[string]any{"name": "e2e", "cluster": map[string]any{"server": c.url, "certificate-authority-data": c.ca.pem}}},
		"users":    []any{map[string]any{"name": "e2e", "user": map[string]any{"client-certificate-data": as.cert, "client-key-data": as.key}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c.file(t, "kubeconfig-"+user, content)
}

// eventually calls ok again and again until it returns true. After the
// deadline the test fails with what explain returns.
func eventually(t *testing.T, within time.Duration, ok func() bool, explain func() string) {
	t.Helper()
	for end := time.Now().Add(within); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", within, explain())
		}
	}
}

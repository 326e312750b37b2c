package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/addon"
)

const zone = "svc.cluster.local."

// TestMain builds the programs, or finds them in the cache, and passes their paths to the
// tests in the environment.
func TestMain(m *testing.M) {
	code, err := withPrograms(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// Where TestMain leaves the programs.
const (
	kubeBin = "E2E_KUBE_BIN" // folder with kube-apiserver and etcd
	ourBin  = "E2E_OUR_BIN"  // folder with kubedns, built with the race detector; without it in release/
)

func withPrograms(run func() int) (int, error) {
	script := exec.Command("../../hack/kube-binaries.sh", "kube-apiserver", "etcd")
	script.Stderr = os.Stderr
	out, err := script.Output()
	if err != nil {
		return 0, fmt.Errorf("hack/kube-binaries.sh: %w", err)
	}
	dir, err := os.MkdirTemp("", "kubedns-e2e")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	err = errors.Join(
		addon.Build(dir, []string{"-race"}, "kubedns"),
		addon.Build(filepath.Join(dir, "release"), []string{"-trimpath", "-ldflags=-s -w"}, "kubedns"),
	)
	if err != nil {
		return 0, err
	}
	if err := errors.Join(os.Setenv(kubeBin, strings.TrimSpace(string(out))), os.Setenv(ourBin, dir)); err != nil {
		return 0, err
	}
	return run(), nil
}

// user is the user that kubedns runs as. It is not the ServiceAccount of the manifests,
// because every API server gives that account the additional rights of the old addon by the
// binding system:kube-dns.
const user = "addon"

// addon gives the user the rights of our ClusterRole and waits until the API
// server knows of it.
func (c *cluster) addon(t *testing.T) {
	t.Helper()
	content, err := os.ReadFile("../../manifests/base/clusterrole.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c.apply(t, string(content))
	c.bind(t, "kube-dns-addon", user)
	for _, of := range []string{"resource: services", "group: discovery.k8s.io, resource: endpointslices"} {
		review := fmt.Sprintf("{apiVersion: authorization.k8s.io/v1, kind: SubjectAccessReview, spec: {user: %s, resourceAttributes: {verb: watch, %s}}}", user, of)
		var last string
		eventually(t, time.Minute, func() bool {
			status, reply, err := c.do(t, http.MethodPost, "/apis/authorization.k8s.io/v1/subjectaccessreviews", "application/yaml", []byte(review))
			last = fmt.Sprint(status, " ", err, " ", reply)
			return strings.Contains(reply, `"allowed":true`)
		}, func() string { return "no rights: " + last })
	}
}

// bind gives a user the rights of a ClusterRole.
func (c *cluster) bind(t *testing.T, role, user string) {
	t.Helper()
	c.apply(t, fmt.Sprintf(`apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: e2e-%[1]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: %[1]s}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: %[2]s}]
`, role, user))
}

func service(name, spec string) string {
	return "{apiVersion: v1, kind: Service, metadata: {name: " + name + ", namespace: default}, spec: {" + spec + "}}"
}

// slice returns an EndpointSlice; endpoints is YAML flow text.
func slice(name, service, family, port, endpoints string) string {
	return fmt.Sprintf(`apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: %s, namespace: default, labels: {kubernetes.io/service-name: %s}}
addressType: %s
ports: [{name: %s, port: 8080, protocol: TCP}]
endpoints: [%s]
`, name, service, family, port, endpoints)
}

const httpPort = "ports: [{name: http, port: 80, protocol: TCP}]"

// served is a cluster and the kubedns that serves it.
type served struct {
	cluster *cluster
	dns     *kubedns
}

func TestServices(t *testing.T) {
	c := newCluster(t)
	c.startAPI(t)
	c.addon(t)
	// One Service exists before kubedns starts and comes with the list; the others come with
	// the watch.
	c.apply(t, service("before", "clusterIP: 10.96.1.1, "+httpPort))
	d := c.startKubeDNS(t, user)
	d.waitReady(t)

	s := served{c, d}
	t.Run("list", func(t *testing.T) {
		d.want(t, "kubernetes.default."+zone, dns.TypeA, "NOERROR", "A 10.96.0.1")
		d.want(t, "before.default."+zone, dns.TypeA, "NOERROR", "A 10.96.1.1")
	})
	t.Run("cluster ip", s.clusterIP)
	t.Run("dual stack", s.dualStack)
	t.Run("headless", s.headless)
	t.Run("slices before service", s.slicesFirst)
	t.Run("types", s.types)
	t.Run("many", s.many)
	d.end(t)
	if strings.Contains(d.Log(), "level=ERROR") {
		t.Errorf("kubedns complained though it has all rights it should need")
	}
}

func (s served) clusterIP(t *testing.T) {
	c, d := s.cluster, s.dns
	name := "web.default." + zone
	d.want(t, name, dns.TypeA, "NXDOMAIN")
	web := service("web", "clusterIP: 10.96.1.2, "+httpPort)
	c.apply(t, web)
	d.want(t, name, dns.TypeA, "NOERROR", "A 10.96.1.2")
	d.want(t, name, dns.TypeAAAA, "NOERROR")
	d.want(t, "_http._tcp."+name, dns.TypeSRV, "NOERROR", "SRV 10 100 80 "+name)
	d.want(t, "2.1.96.10.in-addr.arpa.", dns.TypePTR, "NOERROR", "PTR "+name)
	// Another port, another name for it.
	c.apply(t, service("web", "clusterIP: 10.96.1.2, ports: [{name: https, port: 443, protocol: TCP}]"))
	d.want(t, "_https._tcp."+name, dns.TypeSRV, "NOERROR", "SRV 10 100 443 "+name)
	d.want(t, "_http._tcp."+name, dns.TypeSRV, "NXDOMAIN")
	// The address can change only with a new Service of the same name.
	c.remove(t, web)
	d.want(t, name, dns.TypeA, "NXDOMAIN")
	c.apply(t, service("web", "clusterIP: 10.96.1.3, "+httpPort))
	d.want(t, name, dns.TypeA, "NOERROR", "A 10.96.1.3")
	d.want(t, "2.1.96.10.in-addr.arpa.", dns.TypePTR, "REFUSED") // nobody's, and no name server to ask
	c.remove(t, web)
	d.want(t, "3.1.96.10.in-addr.arpa.", dns.TypePTR, "REFUSED")
}

func (s served) dualStack(t *testing.T) {
	c, d := s.cluster, s.dns
	name := "dual.default." + zone
	dual := service("dual", "ipFamilyPolicy: RequireDualStack, ipFamilies: [IPv4, IPv6], clusterIP: 10.96.1.4, clusterIPs: [10.96.1.4, 'fd00:96::14'], "+httpPort)
	c.apply(t, dual)
	d.want(t, name, dns.TypeA, "NOERROR", "A 10.96.1.4")
	d.want(t, name, dns.TypeAAAA, "NOERROR", "AAAA fd00:96::14")
	d.want(t, "_http._tcp."+name, dns.TypeSRV, "NOERROR", "SRV 10 100 80 "+name)
	reverse, err := dns.ReverseAddr("fd00:96::14")
	if err != nil {
		t.Fatal(err)
	}
	d.want(t, reverse, dns.TypePTR, "NOERROR", "PTR "+name)
	c.remove(t, dual)
	d.want(t, name, dns.TypeAAAA, "NXDOMAIN")
}

func (s served) headless(t *testing.T) {
	c, d := s.cluster, s.dns
	name := "db.default." + zone
	db := service("db", "clusterIP: None, ports: [{name: pg, port: 5432}]")
	c.apply(t, db)
	d.want(t, name, dns.TypeA, "NXDOMAIN") // no endpoint yet
	four := slice("db-4", "db", "IPv4", "pg", "{addresses: [10.1.0.1], hostname: db-0}, {addresses: [10.1.0.2], hostname: db-1, conditions: {ready: false}}")
	six := slice("db-6", "db", "IPv6", "pg", "{addresses: ['fd01::1'], hostname: db-0}")
	c.apply(t, four)
	c.apply(t, six)
	d.want(t, name, dns.TypeA, "NOERROR", "A 10.1.0.1")
	d.want(t, name, dns.TypeAAAA, "NOERROR", "AAAA fd01::1")
	d.want(t, "db-0."+name, dns.TypeA, "NOERROR", "A 10.1.0.1")
	d.want(t, "db-1."+name, dns.TypeA, "NXDOMAIN")
	d.want(t, "_pg._tcp."+name, dns.TypeSRV, "NOERROR", "SRV 10 100 8080 db-0."+name)
	d.want(t, "1.0.1.10.in-addr.arpa.", dns.TypePTR, "NOERROR", "PTR db-0."+name)
	// db-1 gets ready, db-0's IPv6 slice goes.
	c.apply(t, strings.Replace(four, "ready: false", "ready: true", 1))
	c.remove(t, six)
	d.want(t, name, dns.TypeA, "NOERROR", "A 10.1.0.1", "A 10.1.0.2")
	d.want(t, name, dns.TypeAAAA, "NOERROR")
	// publishNotReadyAddresses also publishes endpoints that are not ready.
	c.apply(t, four)
	d.want(t, "db-1."+name, dns.TypeA, "NXDOMAIN")
	c.apply(t, service("db", "publishNotReadyAddresses: true, clusterIP: None, ports: [{name: pg, port: 5432}]"))
	d.want(t, "db-1."+name, dns.TypeA, "NOERROR", "A 10.1.0.2")
	// The slice moves to another Service.
	other := service("other", "clusterIP: None, ports: [{name: pg, port: 5432}]")
	c.apply(t, other)
	c.apply(t, strings.Replace(four, "service-name: db", "service-name: other", 1))
	d.want(t, "db-0.other.default."+zone, dns.TypeA, "NOERROR", "A 10.1.0.1")
	d.want(t, name, dns.TypeA, "NXDOMAIN")
	for _, o := range []string{db, other, four} {
		c.remove(t, o)
	}
	d.want(t, "1.0.1.10.in-addr.arpa.", dns.TypePTR, "REFUSED")
}

func (s served) slicesFirst(t *testing.T) {
	c, d := s.cluster, s.dns
	name := "late.default." + zone
	sl := slice("late-1", "late", "IPv4", "http", "{addresses: [10.1.0.9]}")
	c.apply(t, sl)
	c.apply(t, service("marker", "clusterIP: 10.96.1.5, "+httpPort))
	d.want(t, "marker.default."+zone, dns.TypeA, "NOERROR", "A 10.96.1.5")
	d.want(t, name, dns.TypeA, "NXDOMAIN")
	late := service("late", "clusterIP: None, "+httpPort)
	c.apply(t, late)
	d.want(t, name, dns.TypeA, "NOERROR", "A 10.1.0.9")
	// The Service is deleted before its slice, and recreated.
	c.remove(t, late)
	d.want(t, name, dns.TypeA, "NXDOMAIN")
	d.want(t, "9.0.1.10.in-addr.arpa.", dns.TypePTR, "REFUSED")
	c.apply(t, late)
	d.want(t, name, dns.TypeA, "NOERROR", "A 10.1.0.9")
	c.remove(t, sl)
	d.want(t, name, dns.TypeA, "NXDOMAIN")
}

func (s served) types(t *testing.T) {
	c, d := s.cluster, s.dns
	name := "chameleon.default." + zone
	external := service("chameleon", "type: ExternalName, externalName: before.default.svc.cluster.local")
	c.apply(t, external)
	d.want(t, name, dns.TypeA, "NOERROR", "A 10.96.1.1", "CNAME before.default."+zone)
	c.apply(t, service("chameleon", "type: ClusterIP, clusterIP: 10.96.1.6, "+httpPort))
	d.want(t, name, dns.TypeA, "NOERROR", "A 10.96.1.6")
	c.apply(t, external)
	d.want(t, name, dns.TypeCNAME, "NOERROR", "CNAME before.default."+zone)
	d.want(t, "6.1.96.10.in-addr.arpa.", dns.TypePTR, "REFUSED")
	c.remove(t, external)
	d.want(t, name, dns.TypeA, "NXDOMAIN")
	c.apply(t, service("chameleon", "clusterIP: None, "+httpPort))
	sl := slice("chameleon-1", "chameleon", "IPv4", "http", "{addresses: [10.1.0.10]}")
	c.apply(t, sl)
	d.want(t, name, dns.TypeA, "NOERROR", "A 10.1.0.10")
	c.apply(t, strings.Replace(external, "before", "missing", 1))
	d.want(t, name, dns.TypeA, "NXDOMAIN", "CNAME missing.default."+zone)
}

// many creates more Services than one page of a list holds, restarts kubedns, and asks for
// the first and the last one.
func (s served) many(t *testing.T) {
	c, d := s.cluster, s.dns
	const n = 300
	for i := range n {
		c.apply(t, service(fmt.Sprintf("many-%d", i), fmt.Sprintf("clusterIP: 10.96.%d.%d, %s", 2+i/250, i%250+1, httpPort)))
	}
	last := fmt.Sprintf("many-%d.default.%s", n-1, zone)
	d.want(t, last, dns.TypeA, "NOERROR", "A 10.96.3.50")
	again := c.startKubeDNS(t, user)
	again.waitReady(t)
	again.want(t, last, dns.TypeA, "NOERROR", "A 10.96.3.50")
	again.want(t, "many-0.default."+zone, dns.TypeA, "NOERROR", "A 10.96.2.1")
	again.end(t)
}

func TestAPIRestart(t *testing.T) {
	c := newCluster(t)
	c.startAPI(t)
	c.addon(t)
	c.apply(t, service("web", "clusterIP: 10.96.1.2, "+httpPort))
	gone := service("gone", "clusterIP: 10.96.1.3, "+httpPort)
	c.apply(t, gone)
	d := c.startKubeDNS(t, user)
	d.waitReady(t)
	d.want(t, "web.default."+zone, dns.TypeA, "NOERROR", "A 10.96.1.2")
	c.stopAPI()
	d.always(t, 3*time.Second, "web.default."+zone, dns.TypeA, "NOERROR", "A 10.96.1.2")
	if status := d.ready(t); status != 200 {
		t.Errorf("/readiness returns %d while the API server is away; the answers are still good", status)
	}
	c.startAPI(t)
	c.apply(t, service("new", "clusterIP: 10.96.1.4, "+httpPort))
	c.remove(t, gone)
	d.want(t, "new.default."+zone, dns.TypeA, "NOERROR", "A 10.96.1.4")
	d.want(t, "gone.default."+zone, dns.TypeA, "NXDOMAIN")
	d.end(t)
}

// Without an API server, or without rights, kubedns waits: it is not ready and gives no
// negative answers. It answers for the API server's own name, and does not fill the log.
func TestStartWithoutAPI(t *testing.T) {
	c := newCluster(t)
	d := start(t, "kubedns", []string{"KUBERNETES_SERVICE_HOST=10.96.0.1", "KUBERNETES_SERVICE_PORT=443"}, "--kubecfg-file="+c.kubeconfig(t, user))
	waits := func(during time.Duration) {
		t.Helper()
		d.always(t, during, "web.default."+zone, dns.TypeA, "SERVFAIL")
		d.want(t, "kubernetes.default."+zone, dns.TypeA, "NOERROR", "A 10.96.0.1")
		d.want(t, "_https._tcp.kubernetes.default."+zone, dns.TypeSRV, "NOERROR", "SRV 10 100 443 kubernetes.default."+zone)
		if status := d.ready(t); status == 200 {
			t.Error("ready without having seen a list")
		}
	}
	d.want(t, "web.default."+zone, dns.TypeA, "SERVFAIL")
	start := time.Now()
	waits(6 * time.Second)
	// One line a minute for each of the two resources.
	if n, most := strings.Count(d.Log(), "level=ERROR"), 2*(1+int(time.Since(start).Minutes())); n == 0 || n > most {
		t.Errorf("%d errors in the log after %v, want 1 to %d", n, time.Since(start), most)
	}
	c.startAPI(t)
	waits(2 * time.Second) // the server answers, with 403
	c.apply(t, service("web", "clusterIP: 10.96.1.2, "+httpPort))
	c.addon(t)
	d.waitReady(t)
	d.want(t, "web.default."+zone, dns.TypeA, "NOERROR", "A 10.96.1.2")
	d.want(t, "none.default."+zone, dns.TypeA, "NXDOMAIN")
	d.end(t)
}

// A server that cannot stream its lists is asked for pages, without a message in the log.
func TestNoStreams(t *testing.T) {
	c := newCluster(t)
	c.args = append(c.args, "--feature-gates=WatchList=false")
	c.startAPI(t)
	c.addon(t)
	c.apply(t, service("web", "clusterIP: 10.96.1.2, "+httpPort))
	d := c.startKubeDNS(t, user)
	d.waitReady(t)
	d.want(t, "web.default."+zone, dns.TypeA, "NOERROR", "A 10.96.1.2")
	c.apply(t, service("later", "clusterIP: 10.96.1.3, "+httpPort))
	d.want(t, "later.default."+zone, dns.TypeA, "NOERROR", "A 10.96.1.3")
	if strings.Contains(d.Log(), "level=ERROR") {
		t.Errorf("kubedns complains about a server that cannot stream")
	}
	c.stopAPI()
	c.startAPI(t)
	c.apply(t, service("again", "clusterIP: 10.96.1.4, "+httpPort))
	d.want(t, "again.default."+zone, dns.TypeA, "NOERROR", "A 10.96.1.4")
	d.end(t)
}

// The initial state comes as a stream, which needs the right to watch but not the right to
// list.
func TestStreams(t *testing.T) {
	c := newCluster(t)
	c.startAPI(t)
	c.apply(t, `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: watch}
rules:
- {apiGroups: [''], resources: [services], verbs: [watch]}
- {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [watch]}
`)
	c.bind(t, "watch", user)
	c.apply(t, service("web", "clusterIP: 10.96.1.2, "+httpPort))
	d := c.startKubeDNS(t, user)
	d.waitReady(t)
	d.want(t, "web.default."+zone, dns.TypeA, "NOERROR", "A 10.96.1.2")
	d.end(t)
}

// The rights of an older addon, which include endpoints but not endpointslices.
func TestEndpointsStandIn(t *testing.T) {
	c := newCluster(t)
	c.startAPI(t)
	c.apply(t, "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: old}, rules: [{apiGroups: [''], resources: [services, endpoints], verbs: [list, watch]}]}")
	c.bind(t, "old", user)
	c.apply(t, service("db", "clusterIP: None, "+httpPort))
	c.apply(t, "{apiVersion: v1, kind: Endpoints, metadata: {name: db, namespace: default}, subsets: [{addresses: [{ip: 10.1.0.1, hostname: db-0}], ports: [{name: http, port: 8080}]}]}")
	d := c.startKubeDNS(t, user)
	d.waitReady(t)
	d.want(t, "db.default."+zone, dns.TypeA, "NOERROR", "A 10.1.0.1")
	d.want(t, "_http._tcp.db.default."+zone, dns.TypeSRV, "NOERROR", "SRV 10 100 8080 db-0.db.default."+zone)
	if n := strings.Count(d.Log(), "resources: [endpointslices], verbs: [list, watch]"); n != 1 {
		t.Errorf("kubedns names the missing rule %d times, want once", n)
	}
	c.apply(t, "{apiVersion: v1, kind: Endpoints, metadata: {name: db, namespace: default}, subsets: [{addresses: [{ip: 10.1.0.2, hostname: db-0}], ports: [{name: http, port: 8080}]}]}")
	d.want(t, "db.default."+zone, dns.TypeA, "NOERROR", "A 10.1.0.2")
	d.end(t)
}

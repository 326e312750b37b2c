package kubewatch

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/cache"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/serviceimport"
	"github.com/kube-dns/kube-dns/pkg/treecache"
)

// importFixture is a fixture whose Watcher follows ServiceImports too.
type importFixture struct {
	fixture

	v1beta1, v1alpha1 *fakeAPI
	imports           *treecache.Tree
}

func newImportFixture() *importFixture {
	example := func() apiObject { return &serviceimport.ServiceImport{} }
	f := &importFixture{
		fixture: fixture{
			services: newFakeAPI(true, func() apiObject { return &corev1.Service{} }),
			slices:   newFakeAPI(true, func() apiObject { return &discoveryv1.EndpointSlice{} }),
			tree:     treecache.New(dnsname.MustParse("cluster.local")),
			log:      &bytes.Buffer{},
		},
		v1beta1: newFakeAPI(true, example), v1alpha1: newFakeAPI(true, example),
		imports: treecache.New(dnsname.MustParse("clusterset.local")),
	}
	f.Watcher = New(Config{
		Sources: Sources{
			Services: f.services, Slices: f.slices,
			Imports: []cache.ListerWatcherWithContext{f.v1beta1, f.v1alpha1},
		},
		Tree: f.tree, ClusterSet: f.imports,
		Logger:     slog.New(slog.NewTextHandler(f.log, nil)),
		Registerer: prometheus.NewRegistry(),
	})
	return f
}

func unknownKind() error {
	return apierrors.NewNotFound(schema.GroupResource{Group: serviceimport.Group, Resource: serviceimport.Resource}, "")
}

func testImport(name, kind string, ips ...string) *serviceimport.ServiceImport {
	return &serviceimport.ServiceImport{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec:       serviceimport.Spec{Type: kind, IPs: ips, Ports: []serviceimport.Port{{Name: "http", Port: 80}}},
	}
}

// importedSlice is a slice of a ServiceImport; each endpoint is "address" or
// "address/hostname".
func importedSlice(name, imp, cluster string, endpoints ...string) *discoveryv1.EndpointSlice {
	s := testSlice(name, "")
	s.Labels = map[string]string{serviceimport.LabelServiceName: imp}
	if cluster != "" {
		s.Labels[serviceimport.LabelSourceCluster] = cluster
	}
	for _, text := range endpoints {
		addr, hostname, _ := strings.Cut(text, "/")
		e := discoveryv1.Endpoint{Addresses: []string{addr}}
		if hostname != "" {
			e.Hostname = &hostname
		}
		s.Endpoints = append(s.Endpoints, e)
	}
	return s
}

// answerText is everything that a tree says about a name below svc.
func answerText(tree *treecache.Tree, name string) string {
	zone := tree.Snapshot().Zone()
	a := tree.Lookup([]byte(dnsname.MustParse(name + ".default.svc." + zone.String())))
	var out []string
	for _, v6 := range []bool{false, true} {
		walk := a.Addrs(v6)
		for addr, ok := walk.Next(); ok; addr, ok = walk.Next() {
			out = append(out, addr.String())
		}
	}
	if a.Status == treecache.Found {
		services := a.Services(0)
		var r treecache.Record
		for services.Next(&r) {
			out = append(out, fmt.Sprintf("%s:%d", strings.TrimSuffix(r.Target().String(), ".default.svc."+zone.String()), r.Port))
		}
	}
	slices.Sort(out)
	return a.Status.String() + " " + strings.Join(slices.Compact(out), " ")
}

func (f *importFixture) want(t *testing.T, answers ...string) {
	t.Helper()
	settled(time.Second)
	for i := 0; i < len(answers); i += 2 {
		if got := answerText(f.imports, answers[i]); got != answers[i+1] {
			t.Errorf("%s: %q, want %q", answers[i], got, answers[i+1])
		}
	}
}

// Imports and slices arrive in either order, change their kind, and move to another owner.
func TestImports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newImportFixture()
		f.run(t)
		defer f.stop()
		f.slices.put(importedSlice("s", "shop", "ca", "10.9.4.1/pod-0"))
		f.want(t, "shop", "NoSuchName ", "pod-0.ca.shop", "NoSuchName ")
		f.v1beta1.put(testImport("shop", serviceimport.ClusterSetIP, "10.7.0.1"))
		f.want(t, "shop", "Found 10.7.0.1 shop:80", "pod-0.ca.shop", "NoSuchName ")
		f.v1beta1.remove(key{"default", "shop"})
		f.want(t, "shop", "NoSuchName ")
		f.v1beta1.put(testImport("shop", serviceimport.Headless))
		f.want(t, "shop", "Found 10.9.4.1 pod-0.ca.shop:8080", "pod-0.ca.shop", "Found 10.9.4.1", "ca.shop", "NoRecords ")
		// A label that moves takes the slice from one owner to the other.
		f.v1beta1.put(testImport("dead", serviceimport.Headless))
		f.slices.put(importedSlice("s", "dead", "ca", "10.9.4.1/pod-0"))
		f.want(t, "shop", "NoSuchName ", "dead", "Found 10.9.4.1 pod-0.ca.dead:8080")
		// A slice with two owners belongs to both, and after the deletion of one to the
		// other.
		both := importedSlice("s", "dead", "ca", "10.9.4.1/pod-0")
		both.Labels[discoveryv1.LabelServiceName] = "derived"
		service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "derived"}, Spec: corev1.ServiceSpec{ClusterIP: "None"}}
		f.services.put(service)
		f.slices.put(both)
		f.want(t, "dead", "Found 10.9.4.1 pod-0.ca.dead:8080")
		if got := answerText(f.tree, "pod-0.derived"); !strings.HasPrefix(got, "Found 10.9.4.1") {
			t.Errorf("derived Service: %s", got)
		}
		delete(both.Labels, serviceimport.LabelServiceName)
		f.slices.put(both)
		f.want(t, "dead", "NoSuchName ")
		if got := answerText(f.tree, "pod-0.derived"); !strings.HasPrefix(got, "Found 10.9.4.1") {
			t.Errorf("derived Service after its slice lost the other label: %s", got)
		}
		f.slices.put(importedSlice("s", "dead", "ca", "10.9.4.1/pod-0"))
		f.want(t, "dead", "Found 10.9.4.1 pod-0.ca.dead:8080")
		if got := answerText(f.tree, "pod-0.derived"); got != "NoSuchName " {
			t.Errorf("derived Service after its slice lost the ordinary label: %s", got)
		}
	})
}

// A change of an import is answered as fast as one of a Service: at the latest burst
// after the event.
func TestImportsLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newImportFixture()
		f.run(t)
		defer f.stop()
		settled(time.Second)
		for i := range 20 {
			ip := fmt.Sprintf("10.7.0.%d", i)
			f.v1beta1.put(testImport("shop", serviceimport.ClusterSetIP, ip))
			settled(burst)
			if got, want := answerText(f.imports, "shop"), "Found "+ip+" shop:80"; got != want {
				t.Fatalf("%q, want %q", got, want)
			}
		}
	})
}

// A server without the CustomResourceDefinition has no imports. This is a valid state, which
// is logged once, for which nothing else waits, and which lasts until the server has the
// definition.
func TestImportsAbsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newImportFixture()
		f.v1beta1.setFail(unknownKind())
		f.v1alpha1.setFail(unknownKind())
		f.v1alpha1.put(testImport("shop", serviceimport.ClusterSetIP, "10.7.0.1"))
		f.run(t)
		defer f.stop()
		told := func(text string, want int) {
			t.Helper()
			if n := strings.Count(f.log.String(), text); n != want {
				t.Errorf("%q is in the log %d times, want %d:\n%s", text, n, want, f.log)
			}
		}
		settled(time.Second)
		if !f.HasSynced() || !f.ClusterSetSynced() || !f.Status().ClusterSet.Absent {
			t.Fatalf("synced %v, imports %v: %+v", f.HasSynced(), f.ClusterSetSynced(), f.Status().ClusterSet)
		}
		f.want(t, "shop", "NoSuchName ")
		settled(time.Hour)
		told("the cluster has no ServiceImports", 1)
		told("level=ERROR", 0)

		f.v1alpha1.setFail(nil) // an older definition is installed
		settled(reprobe + 2*retryMax)
		f.want(t, "shop", "Found 10.7.0.1 shop:80")
		told("ServiceImports can be read", 1)

		// The newer version comes, and the older one goes.
		f.v1beta1.put(testImport("shop", serviceimport.ClusterSetIP, "10.7.0.1"))
		f.v1beta1.setFail(nil)
		f.v1alpha1.setFail(unknownKind())
		for range 60 {
			f.want(t, "shop", "Found 10.7.0.1 shop:80")
		}

		// A server that is starting does not know the kind for a moment.
		f.v1beta1.setFail(unknownKind())
		settled(patience / 2)
		f.want(t, "shop", "Found 10.7.0.1 shop:80")
		f.v1beta1.setFail(nil)
		settled(time.Minute)
		f.want(t, "shop", "Found 10.7.0.1 shop:80")
		f.v1beta1.setFail(unknownKind())
		settled(2 * patience)
		f.want(t, "shop", "NoSuchName ")
		told("the cluster has no ServiceImports", 2)
		f.v1beta1.setFail(nil)
		settled(reprobe + 2*retryMax)
		f.want(t, "shop", "Found 10.7.0.1 shop:80")
	})
}

// Without the right to read imports, nothing is known about them, and Services do not wait
// for them. What was known before stays in use.
func TestImportsForbidden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newImportFixture()
		f.v1beta1.setFail(forbidden(serviceimport.Resource))
		f.v1alpha1.setFail(forbidden(serviceimport.Resource))
		f.v1beta1.put(testImport("shop", serviceimport.ClusterSetIP, "10.7.0.1"))
		f.run(t)
		defer f.stop()
		settled(10 * time.Minute)
		if !f.HasSynced() || f.ClusterSetSynced() {
			t.Fatalf("synced %v, imports %v", f.HasSynced(), f.ClusterSetSynced())
		}
		if n := strings.Count(f.log.String(), "level=ERROR"); n < 8 || n > 12 || !strings.Contains(f.log.String(), "serviceimports.multicluster.x-k8s.io") {
			t.Errorf("%d errors in ten minutes:\n%s", n, f.log)
		}
		f.v1beta1.setFail(nil)
		settled(2 * retryMax)
		f.want(t, "shop", "Found 10.7.0.1 shop:80")
		f.v1beta1.setFail(forbidden(serviceimport.Resource))
		settled(10 * time.Minute)
		f.want(t, "shop", "Found 10.7.0.1 shop:80")
	})
}

// Whatever happens to imports and slices, in any order, even if watches are cut, versions are
// forgotten and the server is away in between, every name is answered as a plain reading of
// the specification says.
func TestImportsModel(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { importsHistory(t, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

func importsHistory(t *testing.T, r *rand.Rand) {
	t.Helper()
	f := newImportFixture()
	f.run(t)
	defer f.stop()
	names := []string{"a", "b", "c"}
	clusters := []string{"", "ca", "cb", "Cc.Reg", "cb.ca", "x.y.z", "no_label"}
	pick := func(list []string) string { return list[r.IntN(len(list))] }
	for range 60 {
		switch r.IntN(12) {
		case 0, 1, 2:
			imp := testImport(pick(names), pick([]string{serviceimport.ClusterSetIP, serviceimport.Headless, "Other"}))
			for range r.IntN(3) {
				imp.Spec.IPs = append(imp.Spec.IPs, pick([]string{"10.7.0.1", "10.7.0.2", "fd00:7::1", "bad"}))
			}
			imp.Spec.Ports = imp.Spec.Ports[:r.IntN(2)]
			f.v1beta1.put(imp)
		case 3:
			f.v1beta1.remove(key{"default", pick(names)})
		case 4, 5, 6, 7:
			s := importedSlice(pick([]string{"s1", "s2", "s3", "s4"}), pick(names), pick(clusters))
			if r.IntN(2) == 0 {
				s.Labels[discoveryv1.LabelServiceName] = pick(names)
			}
			for i := range r.IntN(4) {
				hostname := pick([]string{"", "", "ca", "pod-0", "bad_name"})
				s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{
					Addresses: []string{fmt.Sprintf("10.9.%d.%d", r.IntN(2), i)}, Hostname: &hostname,
					Conditions: discoveryv1.EndpointConditions{Ready: new(r.IntN(4) > 0)},
				})
			}
			f.slices.put(s)
		case 8:
			f.slices.remove(key{"default", pick([]string{"s1", "s2", "s3", "s4"})})
		case 9:
			f.v1beta1.cut()
		case 10:
			f.v1beta1.forget()
		case 11:
			f.v1beta1.setFail(context.DeadlineExceeded)
			settled(time.Duration(r.IntN(3000)) * time.Millisecond)
			f.v1beta1.setFail(nil)
		}
		settled(time.Duration(r.IntN(2000)) * time.Millisecond)
	}
	settled(3 * retryMax)
	want := f.plainReading()
	asked := maps.Clone(want)
	for _, name := range names {
		for _, below := range []string{
			"", "ca.", "cb.", "cc.", "reg.", "cc.reg.", "pod-0.", "ca.ca.", "pod-0.ca.", "pod-0.cb.ca.", "pod-0.cc.reg.", "ca.cc.reg.",
			"10-9-0-1.ca.", "10-9-1-1.cb.ca.", "_tcp.", "_http._tcp.", "_http._udp.", "pod-0._http._tcp.", "bad_name.ca.", "x.y.z.", "pod-0.pod-0.ca.",
		} {
			if _, ok := asked[below+name]; !ok {
				asked[below+name] = "NoSuchName "
			}
		}
	}
	for name, answer := range asked {
		if got := answerText(f.imports, name); got != answer {
			t.Errorf("%s: %q, want %q", name, got, answer)
		}
	}
}

// plainReading returns the answer to every name that exists, from the objects that the
// server holds: no trees, no order, no compact forms.
func (f *importFixture) plainReading() map[string]string {
	records := map[string][]string{}
	add := func(name, record string) {
		for at := name; ; {
			if _, ok := records[at]; !ok {
				records[at] = nil
			}
			_, rest, below := strings.Cut(at, ".")
			if !below {
				break
			}
			at = rest
		}
		if record != "" {
			records[name] = append(records[name], record)
		}
	}
	for _, obj := range f.v1beta1.objects {
		imp := obj.(*serviceimport.ServiceImport)
		switch imp.Spec.Type {
		case serviceimport.ClusterSetIP:
			add(imp.Name, "")
			valid := false
			for _, ip := range imp.Spec.IPs {
				if _, err := netip.ParseAddr(ip); err == nil {
					valid = true
					add(imp.Name, ip)
				}
			}
			for range imp.Spec.Ports {
				if valid {
					add(imp.Name, imp.Name+":80")
					add("_http._tcp."+imp.Name, imp.Name+":80")
				}
			}
		case serviceimport.Headless:
			for _, s := range f.slices.objects {
				f.plainSlice(imp.Name, s.(*discoveryv1.EndpointSlice), add)
			}
		}
	}
	out := map[string]string{}
	for name, list := range records {
		slices.Sort(list)
		status := "Found "
		if len(list) == 0 {
			status = "NoRecords "
		}
		out[name] = status + strings.Join(slices.Compact(list), " ")
	}
	return out
}

func (f *importFixture) plainSlice(imp string, s *discoveryv1.EndpointSlice, add func(name, record string)) {
	if s.Labels[serviceimport.LabelServiceName] != imp {
		return
	}
	cluster := strings.ToLower(s.Labels[serviceimport.LabelSourceCluster])
	for _, e := range s.Endpoints {
		if !*e.Conditions.Ready {
			continue
		}
		addr := e.Addresses[0]
		add(imp, addr)
		if !slices.Contains([]string{"ca", "cb", "cc.reg", "cb.ca"}, cluster) {
			continue
		}
		host := strings.ReplaceAll(addr, ".", "-")
		if h := *e.Hostname; h == "ca" || h == "pod-0" {
			host = h
		}
		name := host + "." + cluster + "." + imp
		add(name, addr)
		add(imp, name+":8080")
		add("_http._tcp."+imp, name+":8080")
	}
}

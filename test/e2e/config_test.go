package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/outside"
)

// configRights are the rights that --config-map and federations need: to read that one
// ConfigMap, and the nodes.
const configRights = `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: config}
rules:
- {apiGroups: [''], resources: [configmaps], resourceNames: [kube-dns], verbs: [list, watch]}
- {apiGroups: [''], resources: [nodes], verbs: [list]}
`

func configMap(name, data string) string {
	return "{apiVersion: v1, kind: ConfigMap, metadata: {name: " + name + ", namespace: kube-system}, data: {" + data + "}}"
}

// The ConfigMap that --config-map names configures kubedns while it runs. Neither invalid
// content nor an API server that is away changes anything.
func TestConfigMap(t *testing.T) {
	server, stop, err := outside.Serve("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	c := newCluster(t)
	c.startAPI(t)
	c.addon(t)
	c.apply(t, configRights)
	c.bind(t, "config", user)
	c.apply(t, "{apiVersion: v1, kind: Namespace, metadata: {name: kube-system}}")
	c.apply(t, configMap("another", `federations: "myfed=example.net"`))
	c.apply(t, service("ext", "type: ExternalName, externalName: ext.example.com"))
	d := c.startKubeDNS(t, user, "--config-map=kube-dns", "--config-map-namespace=kube-system")
	d.waitReady(t)

	const outsideName, federated = "ext.example.com.", "nope.default.myfed." + zone
	remote := func(place, domain string) string {
		return fmt.Sprintf("CNAME nope.default.myfed.svc.%s.%s.", place, domain)
	}
	d.want(t, outsideName, dns.TypeA, "REFUSED")
	d.want(t, federated, dns.TypeCNAME, "NXDOMAIN")

	c.apply(t, configMap("kube-dns", fmt.Sprintf(`stubDomains: '{"example.com": ["%s"]}'`, server)))
	d.want(t, outsideName, dns.TypeA, "NOERROR", "A 198.51.100.7")
	d.want(t, "other.example.org.", dns.TypeA, "REFUSED")
	d.want(t, "ext.default."+zone, dns.TypeA, "NOERROR", "CNAME ext.example.com.", "A 198.51.100.7")

	// Federation waits for a node with the cluster's location. The label of old clusters is
	// enough.
	c.apply(t, `{apiVersion: v1, kind: Node, metadata: {name: node-1, labels: {failure-domain.beta.kubernetes.io/zone: z1, failure-domain.beta.kubernetes.io/region: r1}}}`)
	c.apply(t, configMap("kube-dns", fmt.Sprintf(`upstreamNameservers: '["%s"]', federations: "myfed=example.com"`, server)))
	d.want(t, "unknown.example.org.", dns.TypeA, "NXDOMAIN")
	d.want(t, federated, dns.TypeCNAME, "NOERROR", remote("z1.r1", "example.com"))

	c.apply(t, configMap("kube-dns", `upstreamNameservers: 'nonsense', federations: "myfed=example.org"`))
	eventually(t, time.Minute, func() bool { return strings.Contains(d.Log(), "configuration rejected") }, func() string { return "nothing was rejected" })
	d.always(t, time.Second, federated, dns.TypeCNAME, "NOERROR", remote("z1.r1", "example.com"))
	c.stopAPI()
	d.always(t, 2*time.Second, outsideName, dns.TypeA, "NOERROR", "A 198.51.100.7")
	c.startAPI(t)
	c.apply(t, configMap("kube-dns", fmt.Sprintf(`upstreamNameservers: '["%s"]', federations: "myfed=example.org"`, server)))
	d.want(t, federated, dns.TypeCNAME, "NOERROR", remote("z1.r1", "example.org"))
	d.want(t, outsideName, dns.TypeA, "NOERROR", "A 198.51.100.7")

	c.remove(t, configMap("kube-dns", ""))
	d.want(t, outsideName, dns.TypeA, "REFUSED")
	d.want(t, federated, dns.TypeCNAME, "NXDOMAIN")
	d.end(t)
}

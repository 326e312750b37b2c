package options

import "github.com/kube-dns/kube-dns/pkg/dnsname"

// Replicas is --server-replicas.
type Replicas struct {
	// Name has the addresses of the replicas; "" means that the option is not given.
	Name dnsname.Name
	// Port is the replicas' port; 0 means that of the server in their place.
	Port uint16
}

// setReplicas parses name[#port].
func setReplicas(p *parser, value string, _ bool) error {
	host, portText, hasPort := cut(unhide(value), '#')
	r := Replicas{}
	if hasPort {
		port, ok := parsePort(portText)
		if !ok || port == 0 {
			return bad("bad port", "%q is not a port", portText)
		}
		r.Port = port
	}
	name, err := dnsname.Parse(host)
	if _, addrErr := parseAddr(host); err != nil || addrErr == nil || name.Labels() < 2 {
		return bad("", "%q is not the full name of a Service, such as kube-dns-upstream.kube-system.svc.cluster.local", host)
	}
	r.Name = name
	p.o.Own.Replicas = r
	return nil
}

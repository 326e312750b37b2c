package treecache

// Labels calls visit with the labels of the children of a namespace, Services of all
// kinds, or of the namespaces themselves if namespace is "". It stops when visit
// returns false. The order is arbitrary.
func (s *Snapshot) Labels(namespace string, visit func(label string) bool) {
	svc := s.top.nodes.get(s.hash("svc"), "svc")
	if svc == nil || svc.dir == nil {
		return
	}
	d := svc.dir
	if namespace != "" {
		n := d.nodes.get(s.hash(namespace), namespace)
		if n == nil || n.dir == nil {
			return
		}
		d = n.dir
	}
	each := func(label string, _ *node) bool { return visit(label) }
	if d.nodes.from(0, each) {
		d.entries.from(0, each)
	}
}

package treecache

// Counts is the number of things that a Snapshot holds. It does not include what
// is derived for each question: SRV records of bare names, dashed names,
// wildcards.
type Counts struct {
	Owners    int // Sets
	Addresses int // hosts of all Sets
	Services  int // SRV records of named ports
	Aliases   int // external names
	Reverse   int // addresses that have names
}

// Counts returns what s holds.
func (s *Snapshot) Counts() Counts { return s.counts }

// change adds o to c, or subtracts it if sign is -1.
func (c *Counts) change(o Counts, sign int) {
	c.Addresses += sign * o.Addresses
	c.Services += sign * o.Services
	c.Aliases += sign * o.Aliases
}

// counts returns what s contributes to the counts. A nil s contributes nothing.
func (s *Set) counts() Counts {
	if s == nil {
		return Counts{}
	}
	c := Counts{Addresses: s.numHosts()}
	if s.alias != "" {
		c.Aliases = 1
	}
	for i := range s.ports {
		switch p := &s.ports[i]; {
		case p.refs != nil:
			c.Services += len(p.refs.list)
		case s.kind == ClusterIP, s.kind == ClusterSetIP:
			c.Services++
		default:
			c.Services += int(s.targets)
		}
	}
	return c
}

package backend

// Rule is what decides the answer for a name of the cluster domain.
type Rule uint8

// The rules, in the order in which they are tried.
const (
	// RuleUnsynced: the records are not loaded yet; only the API server's own name is known.
	RuleUnsynced Rule = iota
	// RulePod: the name is below pod.<zone>, and spells the address.
	RulePod
	// RuleFederation: the name is <service>.<namespace>.<federation>.svc.<zone>.
	RuleFederation
	// RuleWildcard: a label "*" stands for any label.
	RuleWildcard
	// RuleExact: the name is looked up as it is.
	RuleExact
)

// String describes the rule for people.
func (r Rule) String() string {
	switch r {
	case RuleUnsynced:
		return "the cluster's records are not loaded yet; only kubernetes.default.svc may be answered"
	case RulePod:
		return "a Pod name: the address is spelled in the name, whether or not such a Pod exists"
	case RuleFederation:
		return "a federated name: an alias of the local Service if that can serve, otherwise of the Service in the federation's domain"
	case RuleWildcard:
		return "a wildcard: the label * stands for any label"
	default:
		return "the name is looked up as it is"
	}
}

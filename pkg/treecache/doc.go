// Package treecache keeps the answer to every name of the cluster domain in
// memory and replaces one owner's names at a time.
//
// # Shape
//
// A Tree is one atomic pointer to a Snapshot. A Snapshot never changes: a reader
// loads the pointer once and then sees, for every owner, either the old names or
// the new ones, forward and reverse together. Writers take a lock that readers
// never touch. A writer changes in place what it made for a Snapshot that is not
// published yet, so a batch of changes copies little.
//
//	zone ── svc ── default ─┬─ web   → Set (ClusterIP: addresses, ports)
//	                        ├─ hl    → Set (headless: hosts, ports)
//	                        └─ (ext) → Set (external name: an entry, not a node)
//	owners:  web.default.svc → Set
//	reverse: 10.0.0.1 → owners that claim it
//
// An owner is identified by its path, <service>.<namespace>.svc. The directories
// (the zone, svc, each namespace) keep their children in persistent hash tries
// with seeded hashes. Replacing an owner copies a few trie nodes, whatever the
// size of its namespace or of the cluster. A directory without children is
// removed at once, so an empty namespace does not exist.
//
// In a large cluster a query spends most of its time waiting for memory, and
// each level of a trie is another wait. [Tree.Lookup] therefore does not walk the
// tries: a hash table beside the Snapshot, changed in place, leads from an
// owner's whole path to its current Set with one access, and a Set of few hosts
// is one piece of memory. While changes are being made the table is ahead of the
// Snapshot for a moment; each of its answers is still one Set's, old or new. With
// tries as the only index a query cost 23 to 38 % more with 50 000 Services than
// with 10; now it is up to 9 %, and as much where [Tree.Warm] announces names.
//
// Below an owner's node there is no tree. A Set keeps addresses and ports in
// sorted arrays without names, and derives the names below its node from them:
//
//	S                      addresses, or the external name
//	<host>.S               one host's addresses
//	_proto.S               exists, no records
//	_port._proto.S         services (SRV)
//	<host>._port._proto.S  one host's service
//
// A trie node per endpoint would take ten times the memory (an endpoint without
// a hostname takes 8 or 20 octets here), and a change of a headless Service would
// copy thousands of nodes. The reverse index holds owners only; the name itself
// is looked up in the owner's current Set, so a change touches the index only for
// addresses that came or went.
//
// Records are not stored either. An Answer is a view, and [Answer.At] makes a
// Record by value, without allocation.
//
// # Bounded work
//
// Anyone who may create Services decides what the tree holds, so nothing that a
// question causes may grow with it. Everything in a Set is found by binary
// search; [Answer.Addrs] and [Answer.Services] deliver the records of a large Set
// one by one, from any starting point, in time that does not depend on its size;
// [Snapshot.Match] looks at a bounded part of the tree; and [Tree.Reverse] gives
// the first MaxNames claimants of an address, which are kept in answer order.
// A change costs the logarithm of what shares an address or a directory with it.
package treecache

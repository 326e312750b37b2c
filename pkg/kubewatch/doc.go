// Package kubewatch keeps the tree of DNS records equal to the Services and
// EndpointSlices that a Kubernetes API server, or a folder of files, holds.
//
//	list+watch ──► decoder ──► reflector ──► sinks ──► dirty Service keys
//	(Sources)      (compact)   (client-go)   (kept)    (coalesced, ≤ 10 ms)
//	                                                      │
//	                 treecache.Tree.Replace ◄── records.Build of that Service
//
// Invariants:
//   - An event carries no news, only a key. Whatever order events come in, the
//     tree ends up as the objects on hand imply, because the whole record set
//     of a Service is built anew from what is kept and swapped in at once.
//   - What is kept of a Service is a records.Service, and of a slice a
//     records.Slice. They are read straight from the protobuf that API servers
//     send, with no API object in between. An API object, from a file or from
//     JSON, lives only while it is converted, and means the same.
//   - The initial objects of a stream, or of the pages of a list, reach the
//     reflector as one object, a batch of what is kept of them.
//   - Every slice is kept whatever its Service is at the moment, found by the
//     key of the Service that its label names, so a Service that appears later,
//     or becomes headless, needs no second list.
//   - Nothing reaches the tree before every list is complete; HasSynced turns
//     true after the first build of everything is in the tree.
//
// client-go's shared informers were rejected: they keep each decoded object,
// and its delta, beside what we keep. The Reflector below them does all that
// is hard (streamed lists, watch, bookmarks, relist) and feeds any store.
package kubewatch

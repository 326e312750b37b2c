// Package kubewatch keeps a tree of DNS records (treecache.Tree) up to date with
// the Services and EndpointSlices of a Kubernetes API server, or of a folder of
// files.
//
// Use APISources to say which API server to read, New to make a Watcher, and
// Watcher.Run to list and watch until the context ends. HasSynced says when the
// tree is complete; Status describes every watch. NewConfigMapWatcher follows one
// ConfigMap, and FollowLocation the zone and region of the nodes.
//
//	list+watch ──► decoder ──► reflector ──► sinks ──► dirty Service keys
//	(Sources)      (compact)   (client-go)   (kept)    (coalesced, ≤ 10 ms)
//	                                                      │
//	                 treecache.Tree.Replace ◄── records.Build of that Service
//
// Invariants:
//   - An event only marks a key as changed. The whole record set of that Service
//     is then rebuilt from the objects kept in memory and replaced in one step, so
//     the tree ends up the same in whatever order events arrive.
//   - A Service is kept as a records.Service and an EndpointSlice as a
//     records.Slice. Both are read directly from the protobuf that API servers
//     send, without decoding the API object. Objects that come as files or as JSON
//     are decoded, converted with the same result, and dropped.
//   - The initial objects of a stream, or of the pages of a list, reach the
//     reflector as one object: a batch of the compact items.
//   - Every slice is kept, whatever the state of its Service, under the key of the
//     Service that its label names. A Service that appears later, or becomes
//     headless, therefore needs no second list.
//   - Nothing is written to the tree before every list is complete. HasSynced
//     turns true after the first complete build is in the tree.
//
// client-go's shared informers are not used: they keep every decoded object and
// its delta in addition to the compact form. The Reflector that they are built on
// handles the difficult parts (streamed lists, watches, bookmarks, new lists) and
// can feed any store.
package kubewatch

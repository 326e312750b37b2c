// Package kubefiles reads Services, EndpointSlices, Endpoints, Nodes, ConfigMaps
// and ServiceImports from YAML or JSON files and serves them as an API server does:
// as lists with a resource version, and as watches that deliver the changes since a
// version.
//
// Use Open to read the files once, Source.Run to follow their changes, and the
// other methods of Source as the sources of a kubewatch.Watcher.
//
// A file may hold several documents and lists, as "kubectl get -A -o yaml" prints
// them. All files together are one state. It is loaded when every file has been
// read, decoded and found valid, and no file has changed for one poll; until then
// the last valid state remains. A half-written file, or a folder in the middle of
// an update, is therefore never served.
package kubefiles

// Package kubefiles reads Services, EndpointSlices, Endpoints, Nodes, ConfigMaps
// and ServiceImports from YAML or JSON files and offers them the way an API server
// would: as lists with a resource version, and watches that deliver what
// changed since one.
//
// A file may hold several documents and lists, as "kubectl get -A -o yaml"
// prints them. All files together are one state: it is taken over when every
// file was read, decoded and found valid, and had not changed for one poll;
// until then the last good state stays. So a half-written file, or a folder
// in the middle of an update, is never served.
package kubefiles

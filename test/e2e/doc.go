// Package e2e tests the real kubedns against a real API server: Services and
// EndpointSlices are created, changed and deleted through the API, and kubedns is
// queried over UDP and TCP. It has the rights of the ClusterRole in manifests/base and
// no others.
//
// The tests build kube-apiserver and etcd with hack/kube-binaries.sh, which takes some
// minutes the first time. They need gcc, because kubedns is built with the race
// detector.
package e2e

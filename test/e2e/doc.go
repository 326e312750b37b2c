// Package e2e tests the real kubedns against a real API server: Services and
// EndpointSlices are made, changed and deleted through the API, and the answers
// are asked for over UDP and TCP. kubedns has the rights of the ClusterRole in
// manifests/base and no others.
//
// The tests build kube-apiserver and etcd themselves with hack/kube-binaries.sh,
// which takes some minutes the first time, and need gcc for the race detector
// that kubedns runs under.
package e2e

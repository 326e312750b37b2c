// Package cluster tests the addon as it is used: installed with kubectl on a
// real node, asked by pods through the resolv.conf that the kubelet wrote. Its
// tests need a cluster that is up and carry the build tag cluster; `make
// test-cluster` runs them.
package cluster

// Package cluster tests the addon in use: installed with kubectl on a real node, and
// queried by Pods through the resolv.conf that the kubelet wrote. The tests need a
// cluster that is up, and the build tag cluster; `make test-cluster` runs them.
package cluster

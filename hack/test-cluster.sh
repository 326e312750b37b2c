#!/bin/sh
# Brings a cluster up, runs the tests of test/cluster on it and takes it down.
# KEEP=1 leaves it up, SOAK=1 runs the long scenarios. Arguments go to `go
# test`, for example -run TestNames.
set -eu
cd "$(dirname "$0")/.."

down() {
	[ -n "${KEEP:-}" ] || ./hack/cluster/down.sh
}
trap down EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
./hack/cluster/up.sh >&2

# What clusters ran before: the tests migrate from it.
state=${KUBE_DNS_CLUSTER:-/var/tmp/kube-dns-cluster}
dist/.image -name kube-dns.test/coredns:1 -arch "$(go env GOARCH)" -o "$state/images/coredns.tar" "coredns=$(./hack/coredns.sh)"
./hack/cluster/ctl.sh in ctr -n k8s.io images import "$state/images/coredns.tar" >&2

KUBECTL="$(./hack/kube-binaries.sh kubectl)/kubectl"
KUBECONFIG=$state/pki/admin.kubeconfig
export KUBECTL KUBECONFIG
go test -tags cluster -count=1 -v -timeout="${TIMEOUT:-30m}" ./test/cluster "$@"

#!/bin/sh
# Brings a cluster up, runs the tests of test/cluster on it and takes it down.
# KEEP=1 leaves it up. Arguments go to `go test`, for example -run TestNames.
set -eu
cd "$(dirname "$0")/.."

./hack/cluster/up.sh
[ -n "${KEEP:-}" ] || trap './hack/cluster/down.sh' EXIT
KUBECTL="$(./hack/kube-binaries.sh kubectl)/kubectl"
KUBECONFIG="${KUBE_DNS_CLUSTER:-/var/tmp/kube-dns-cluster}/pki/admin.kubeconfig"
export KUBECTL KUBECONFIG
go test -tags cluster -count=1 -v -timeout=30m ./test/cluster "$@"

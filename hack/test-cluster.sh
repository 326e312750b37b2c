#!/usr/bin/env bash
# Brings a cluster up, runs the tests of test/cluster and Kubernetes' own DNS
# specs on it, and removes it.
# KEEP=1 uses a cluster that is up and leaves it up. SOAK=12m repeats the long
# scenarios for that time. TIMEOUT (default 25m) limits the tests. Arguments are
# passed to `go test`, for example -run TestCluster/Questions.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=hack/cluster/lib.sh
. hack/cluster/lib.sh
need_root
one_run

job=""
finish() {
	status=$?
	trap '' INT TERM
	if [ -n "$job" ] && kill -0 "$job" 2>/dev/null; then
		kill -TERM "$job" || true
		wait "$job" || true
	fi
	case $status in
	0 | 130 | 143) ;; # it went well, or was ended from outside
	*) timeout -k 5 60 ./hack/cluster/dump.sh >&2 || true ;;
	esac
	[ -n "${KEEP:-}" ] || ./hack/cluster/down.sh
	exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# go_on runs a command, and ends it when this script ends or is killed.
go_on() {
	setpriv --pdeathsig TERM "$@" &
	job=$!
	wait "$job"
	job=""
}

./hack/apt.sh dig=bind9-dnsutils musl-gcc=musl-tools

# Kubernetes' own specs run on the same node; one of them needs this gate.
export APISERVER_FEATURE_GATES=RelaxedServiceNameValidation=true

# Remove what an earlier run may have left behind.
[ -n "${KEEP:-}" ] || ./hack/cluster/down.sh quiet
go_on ./hack/cluster/up.sh >&2

# The tests migrate from CoreDNS.
image=$(./hack/coredns.sh)
dist/.image -name kube-dns.test/coredns:1 -arch "$(go env GOARCH)" -o "$state/images/coredns.tar" "coredns=$image"
./hack/cluster/ctl.sh in ctr -n k8s.io images import "$state/images/coredns.tar" >&2

KUBECTL="$(./hack/kube-binaries.sh kubectl)/kubectl"
KUBECONFIG=$state/pki/admin.kubeconfig
export KUBECTL KUBECONFIG
limit=${TIMEOUT:-25m}
# At its time limit, go test reports which tests were running. If it hangs, timeout ends it.
go_on timeout -k 30 "$((${limit%m} + 2))m" \
	go test -tags cluster -count=1 -v -parallel=24 -timeout="$limit" ./test/cluster "$@"
# Complete runs end with Kubernetes' own specs, soaks with the spec that creates 10 000
# Services.
if [ -n "${SOAK:-}" ]; then
	SCALE=1 KEEP=1 LOCKED=1 go_on ./hack/test-conformance.sh
elif [ $# -eq 0 ]; then
	KEEP=1 LOCKED=1 go_on ./hack/test-conformance.sh
fi

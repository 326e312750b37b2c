#!/bin/sh
# Runs the tests that need no cluster: unit tests, conformance tests of the real
# binaries, and end-to-end tests with a real API server. The machine needs Go, make
# and Debian's packages.
set -eu
cd "$(dirname "$0")/.."

./hack/apt.sh gcc=gcc dig=dnsutils dnsmasq=dnsmasq-base ip=iproute2 host=bind9-host kdig=knot-dnsutils drill=ldnsutils \
	musl-gcc=musl-tools busybox=busybox-static unbound=unbound kresd=knot-resolver node=nodejs promtool=prometheus
# The status page is tested in a browser. It is large: without it, the rest is tested all the same.
./hack/apt.sh chromium=chromium || echo "--- SKIP: TestStatusPage: Debian's chromium cannot be installed" >&2
echo "== unit and conformance tests" >&2
go list ./... | grep -v /test/e2e | xargs go test -timeout=15m
echo "== end-to-end tests with a real API server" >&2
./hack/kube-binaries.sh kube-apiserver etcd
go test -timeout=20m ./test/e2e

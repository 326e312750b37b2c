#!/usr/bin/env bash
# test-mcs.sh DIR [FLAG...]: runs the DNS specs of the Multi-Cluster Services API's own
# conformance suite on the node of `make cluster`, with the component clusterset and test/mcs
# in place of a multi-cluster controller. DIR is a checkout of sigs.k8s.io/mcs-api: the suite
# is not part of what the module proxy serves, so this script cannot get it by itself.
# TestCluster/Addons/ClusterSet asks the same questions without the suite. KEEP=1 uses a
# cluster that is up, and leaves it up. FLAGs are passed to the suite.
set -euo pipefail
[ -d "${1:-}/conformance" ] || {
	echo "usage: test-mcs.sh DIR [FLAG...]; DIR is a checkout of sigs.k8s.io/mcs-api" >&2
	exit 2
}
suite=$(cd "$1/conformance" && pwd)
shift
cd "$(dirname "$0")/.."
# shellcheck source=hack/cluster/lib.sh
. hack/cluster/lib.sh
need_root
one_run

./hack/apt.sh dig=bind9-dnsutils busybox=busybox-static musl-gcc=musl-tools nc.openbsd=netcat-openbsd \
	curl=curl wget=wget ss=iproute2 socat=socat
out=$PWD/dist/conformance
tmp=$(mktemp -d)
standin=""
finish() {
	status=$?
	trap '' INT TERM
	[ -z "$standin" ] || kill "$standin" 2>/dev/null || true
	rm -rf "$tmp"
	[ -n "${KEEP:-}" ] || ./hack/cluster/down.sh quiet
	exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say "building the suite of $suite"
mkdir -p "$out"
(cd "$suite" && CGO_ENABLED=0 go test -vet=off -c -trimpath -o "$tmp/mcs.test" .)
CGO_ENABLED=0 go build -o "$tmp/standin" ./test/mcs/standin

export ADDON=manifests/overlays/clusterset
[ -n "${KEEP:-}" ] || ./hack/cluster/down.sh quiet
./hack/cluster/up.sh >&2 9>&-
export KUBECONFIG=$state/pki/admin.kubeconfig
kubectl=$(./hack/kube-binaries.sh kubectl)/kubectl
for resource in serviceexports serviceimports; do
	"$kubectl" apply -f "$suite/../config/crd/multicluster.x-k8s.io_$resource.yaml" >&2
	"$kubectl" wait --for=condition=Established "crd/$resource.multicluster.x-k8s.io" --timeout=1m >&2
done

# The suite's own images, with Debian's programs in them.
hack/e2e/rootfs.sh glibc "$tmp/root"
hack/e2e/add.sh "$tmp/root" nslookup socat
for image in nicolaka/netshoot:v0.15 alpine/socat:1.7.4.4; do
	hack/e2e/pack.sh "$image" "$tmp/root" null '["sh"]' "$tmp/image.tar"
	./hack/cluster/ctl.sh in ctr -n k8s.io images import "$tmp/image.tar" >&2
done

"$tmp/standin" "$KUBECONFIG" >"$out/mcs-standin.log" 2>&1 9>&- &
standin=$!
say "running the DNS specs"
(cd "$tmp" && timeout -k 30 20m ./mcs.test -kubeconfig "$KUBECONFIG" -contexts "" -dns-domain clusterset.local \
	--ginkgo.label-filter=DNS --ginkgo.no-color --ginkgo.junit-report="$out/mcs.xml" "$@") >"$out/mcs.log" 2>&1 || {
	tail -n 80 "$out/mcs.log" >&2
	die "specs failed; the whole log is $out/mcs.log"
}
grep -E '^(Ran|SUCCESS|FAIL)' "$out/mcs.log"
go run ./hack/junit "$out/mcs.xml"

#!/usr/bin/env bash
# test-conformance.sh [FLAG...]: runs Kubernetes' own end-to-end specs about DNS,
# built from the Kubernetes version that hack/kube.mod pins, on the node of
# `make cluster`: first with IPv4 as the cluster's first family, then with IPv6.
#   FAMILIES="ipv4"  run with these first families only
#   KEEP=1           use a cluster that is up, and leave it up (one family)
#   SCALE=1          run the spec with 10 000 Services instead
#   KUBE_NEXT=1      use the newer Kubernetes that hack/kube-next pins, for the node too
# FLAGs are passed to the suite, for example --ginkgo.focus=ExternalName. JUnit files
# and the suite's log are written to dist/conformance.
set -euo pipefail
cd "$(dirname "$0")/.."

families=${FAMILIES:-ipv4 ipv6}
[ -z "${KEEP:-}" ] || families=${FAMILY:-ipv4}
export FAMILY=${families%% *}
# shellcheck source=hack/cluster/lib.sh
. hack/cluster/lib.sh
need_root
[ -n "${LOCKED:-}" ] || one_run
# One spec uses names that need this feature gate.
export APISERVER_FEATURE_GATES=RelaxedServiceNameValidation=true

module=hack/e2e
[ -z "${KUBE_NEXT:-}" ] || module=hack/kube-next
pinned() { sed -n 's/.*k8s\.io\/kubernetes \(v[0-9.]*\)$/\1/p' "$1" | head -n 1; }
version=$(pinned "$module/go.mod")
[ -n "${KUBE_NEXT:-}" ] || [ "$version" = "$(pinned hack/kube.mod)" ] ||
	die "hack/e2e/go.mod and hack/kube.mod pin different versions of Kubernetes"
cache=${KUBE_DNS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kube-dns}/e2e-$version
out=dist/conformance
mkdir -p "$cache" "$out"

build() { # NAME PACKAGE COMMAND...: once
	local name=$1 package=$2
	shift 2
	[ ! -x "$cache/$name" ] || return 0
	say "building $name of Kubernetes $version (some minutes, once)"
	(cd "$module" && CGO_ENABLED=0 "$@" -trimpath -buildvcs=false -ldflags '-s -w' -o "$cache/.$name" "$package")
	mv "$cache/.$name" "$cache/$name"
}
./hack/apt.sh dig=bind9-dnsutils busybox=busybox-static musl-gcc=musl-tools nc.openbsd=netcat-openbsd \
	curl=curl wget=wget ss=iproute2
build e2e.test . go test -vet=off -c
build agnhost k8s.io/kubernetes/test/images/agnhost go build
coredns=$(./hack/coredns.sh)

tmp=$(mktemp -d)
finish() {
	status=$?
	trap '' INT TERM
	rm -rf "$tmp"
	[ -n "${KEEP:-}" ] || ./hack/cluster/down.sh quiet
	exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The suite reads the registries of its images from this file.
export KUBE_TEST_REPO_LIST=$tmp/repos.yaml
echo 'promoterE2eRegistry: kube-dns.test' >"$KUBE_TEST_REPO_LIST"
# If an image has several versions, the specs use the newest.
image() { "$cache/e2e.test" --list-images | grep "^kube-dns.test/$1:" | sort -V | tail -n 1; }
hack/e2e/rootfs.sh musl "$tmp/agnhost" "$cache/agnhost" "$coredns"
hack/e2e/rootfs.sh glibc "$tmp/jessie-dnsutils"
hack/e2e/pack.sh "$(image agnhost)" "$tmp/agnhost" '["/agnhost"]' '["pause"]' "$tmp/agnhost.tar"
hack/e2e/pack.sh "$(image jessie-dnsutils)" "$tmp/jessie-dnsutils" null '["bash"]' "$tmp/jessie-dnsutils.tar"

# All specs of DNS, those of Services that look up names, and /etc/hosts.
focus='\[sig-network\] (DNS |Services should (be able to change the type|implement service.kubernetes.io/headless|provide secure master))|KubeletManagedEtcHosts'
skip='Provider:GCE|PerformanceDNS'
if [ -n "${SCALE:-}" ]; then
	focus=PerformanceDNS
	skip=Provider:GCE
fi

# overlay writes a kustomization for a family. The specs of the DNS ConfigMap query
# kubedns at the Pod's address, which the base manifest does not allow.
overlay() {
	printf 'resources: [../../../manifests/base]\ncomponents:\n  - ../../../manifests/components/kubedns-port\n'
	[ "$1" != ipv6 ] || echo '  - ../../../manifests/components/ipv6'
}

run() { # FAMILY FLAG...
	export FAMILY=$1 ADDON=$out/addon-$1
	local report=$out/$version-$1${SCALE:+-scale}
	shift
	mkdir -p "$ADDON"
	overlay "$FAMILY" >"$ADDON/kustomization.yaml"
	if [ -z "${KEEP:-}" ]; then
		./hack/cluster/down.sh quiet
		./hack/cluster/up.sh >&2 9>&-
	else
		kubectl=$(./hack/kube-binaries.sh kubectl)/kubectl
		"$kubectl" --kubeconfig "$state/pki/admin.kubeconfig" apply -k "$ADDON" >&2
		"$kubectl" --kubeconfig "$state/pki/admin.kubeconfig" -n kube-system rollout status deployment/kube-dns --timeout=3m >&2
	fi
	for image in agnhost jessie-dnsutils; do
		./hack/cluster/ctl.sh in ctr -n k8s.io images import "$tmp/$image.tar" >&2
	done
	say "running the specs of Kubernetes $version, $FAMILY first"
	timeout -k 30 45m "$cache/e2e.test" --kubeconfig="$state/pki/admin.kubeconfig" --provider=skeleton --num-nodes=1 \
		--kubectl-path="$(./hack/kube-binaries.sh kubectl)/kubectl" --dns-domain=cluster.local \
		--ginkgo.no-color --ginkgo.timeout=40m --ginkgo.focus="$focus" --ginkgo.skip="$skip" \
		--ginkgo.junit-report="$PWD/$report.xml" "$@" >"$report.log" 2>&1 || {
		tail -n 60 "$report.log" >&2
		./hack/cluster/dump.sh >&2 || true
		die "specs failed with $FAMILY first; the whole log is $report.log"
	}
	grep -E '^(Ran|SUCCESS|FAIL)' "$report.log"
}
for family in $families; do
	run "$family" "$@"
done
go run ./hack/junit "$out/$version"-*.xml

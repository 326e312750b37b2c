#!/bin/sh
# bench.sh [FLAG...]: compares the CPU time per query of dnscache and kubedns with
# that of a bare echo server, dnsmasq, unbound and CoreDNS. Compares kubedns with
# CoreDNS's kubernetes plugin also in the time to the first answer, in memory, and
# in the time from a change to its answer. Flags are passed to "bench compare" (see
# test/bench), for example -only cached,cluster or -rounds 9. COREDNS names the
# CoreDNS binary to use. If it is empty, CoreDNS is left out; if it is not set, the
# version that hack/coredns.mod pins is built, which takes some minutes once.
set -eu
cd "$(dirname "$0")/.."

./hack/apt.sh dnsmasq=dnsmasq-base unbound=unbound

dir=${KUBE_DNS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kube-dns}/bench
mkdir -p "$dir"
coredns=${COREDNS-}
if [ -z "${COREDNS+set}" ] && ! coredns=$(./hack/coredns.sh); then
	echo "CoreDNS cannot be built on this machine and is left out" >&2
	coredns=""
fi

CGO_ENABLED=0 go build -trimpath -buildvcs=false -o "$dir/bench" ./test/bench
if [ ! -x bin/dnscache ] || [ ! -x bin/kubedns ]; then
	./hack/build.sh
fi
exec "$dir/bench" compare -bin bin -coredns "$coredns" "$@"

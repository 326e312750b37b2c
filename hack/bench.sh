#!/bin/sh
# bench.sh [FLAG...]: CPU per query of dnscache and kubedns beside a bare echo,
# dnsmasq, unbound and CoreDNS, as ratios; and of kubedns beside CoreDNS's
# kubernetes plugin the time to the first answer, the memory and the time from a
# change to its answer. Flags go to "bench compare" (see test/bench), for example
# -only cached,cluster or -rounds 9. COREDNS names a
# CoreDNS binary to use; empty leaves CoreDNS out; unset builds the one that
# hack/coredns.mod pins, which takes some minutes once.
set -eu
cd "$(dirname "$0")/.."

./hack/apt.sh dnsmasq=dnsmasq-base unbound=unbound

dir=${KUBE_DNS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kube-dns}/bench
mkdir -p "$dir"
coredns=${COREDNS-}
if [ -z "${COREDNS+set}" ] && ! coredns=$(./hack/coredns.sh); then
	echo "CoreDNS does not build here; it is left out" >&2
	coredns=""
fi

CGO_ENABLED=0 go build -trimpath -buildvcs=false -o "$dir/bench" ./test/bench
if [ ! -x bin/dnscache ] || [ ! -x bin/kubedns ]; then
	./hack/build.sh
fi
exec "$dir/bench" compare -bin bin -coredns "$coredns" "$@"

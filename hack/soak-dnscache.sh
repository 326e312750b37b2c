#!/bin/sh
# Queries dnscache as fast as it answers, while its upstream servers fail at random,
# for the time in SOAK (default 20m). Every query must be answered, no answer may be
# wrong, and memory must not grow.
set -eu
cd "$(dirname "$0")/.."

dir=${KUBE_DNS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kube-dns}/bench
mkdir -p "$dir"
CGO_ENABLED=0 go build -trimpath -buildvcs=false -o "$dir/bench" ./test/bench
if [ ! -x bin/dnscache ]; then
	./hack/build.sh
fi
exec "$dir/bench" soak -bin bin -duration "${SOAK:-20m}"

#!/bin/sh
# Builds the development tools named in hack/tools.mod into a cache folder and
# prints that folder. Does nothing when they are there for this tools.sum.
set -eu
cd "$(dirname "$0")/.."

sum=$(cat hack/tools.mod hack/tools.sum | cksum | cut -d' ' -f1)
dir=${KUBE_DNS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kube-dns}/tools-$sum-$(go env GOVERSION)
if [ ! -e "$dir/complete" ]; then
	echo "building development tools into $dir (a few minutes, once)" >&2
	mkdir -p "$dir"
	go build -modfile=hack/tools.mod -o "$dir/" tool >&2
	touch "$dir/complete"
fi
echo "$dir"

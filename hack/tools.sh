#!/bin/sh
# Builds the development tools named in hack/tools.mod into a cache folder and prints
# that folder. Builds nothing if the folder for this tools.sum exists.
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

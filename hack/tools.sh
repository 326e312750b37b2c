#!/bin/sh
# tools.sh [NAME]: builds the tools that hack/NAME.mod names (default "tools", those
# of development) into a cache folder and prints that folder. Builds nothing if the
# folder for this version of the file exists.
set -eu
cd "$(dirname "$0")/.."

name=${1:-tools}
sum=$(cat "hack/$name.mod" "hack/$name.sum" | cksum | cut -d' ' -f1)
dir=${KUBE_DNS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kube-dns}/$name-$sum-$(go env GOVERSION)
if [ ! -e "$dir/complete" ]; then
	echo "building the tools of hack/$name.mod into $dir (a few minutes, once)" >&2
	mkdir -p "$dir"
	CGO_ENABLED=0 go build -modfile="hack/$name.mod" -o "$dir/" tool >&2
	touch "$dir/complete"
fi
echo "$dir"

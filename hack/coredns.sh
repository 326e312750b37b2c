#!/bin/sh
# Prints the path of the CoreDNS version that hack/coredns.mod pins. Builds it if it
# is missing, which takes some minutes.
set -eu
cd "$(dirname "$0")/.."

dir=${KUBE_DNS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kube-dns}/bench
version=$(awk '$1 == "require" && $2 == "github.com/coredns/coredns" {print $3}' hack/coredns.mod)
coredns=$dir/coredns-$version-$(go env GOVERSION)
if [ ! -x "$coredns" ]; then
	mkdir -p "$dir"
	echo "building CoreDNS into $dir (some minutes, once)" >&2
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w' -modfile=hack/coredns.mod \
		-o "$coredns.$$" github.com/coredns/coredns >&2
	mv "$coredns.$$" "$coredns"
fi
echo "$coredns"

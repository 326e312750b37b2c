#!/bin/sh
# Prints the folder of Debian's systemd-resolved, unpacked into the cache.
# Installing the package would make it the resolver of this machine.
set -eu
cd "$(dirname "$0")/.."

dir=${KUBE_DNS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kube-dns}/resolved
if [ ! -e "$dir/complete" ]; then
	mkdir -p "$dir"
	cd "$dir"
	rm -f ./*.deb
	apt-get download -qq systemd-resolved libsystemd-shared >&2 2>&1 || {
		apt-get update -qq >&2
		apt-get download -qq systemd-resolved libsystemd-shared >&2
	}
	for package in ./*.deb; do
		dpkg -x "$package" .
	done
	touch complete
fi
echo "$dir"

#!/bin/sh
# Writes the three images to dist/ as archives, one for each architecture:
#   images.sh [TAG [ARCH...]]     (defaults: latest, amd64 arm64)
# Needs no daemon and no network. The same sources give the same bytes. An image
# that is larger than its budget is an error.
set -eu
cd "$(dirname "$0")/.."

tag=${1:-latest}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- amd64 arm64

# The budget of each image in bytes, and the size of the image that it replaces:
# kubernetes/dns 1.14.13 for amd64 as docker lists it (kube-dns, dnsmasq-nanny, and
# the sidecar in exechealthz's place).
budget() {
	case $1 in
	kubedns) echo 21000000 ;;
	*) echo 12000000 ;;
	esac
}
replaced() {
	case $1 in
	kubedns) echo 51200000 ;;
	dnscache) echo 41400000 ;;
	exechealthz) echo 42900000 ;;
	esac
}

mkdir -p dist
image=$(pwd)/dist/.image
(cd hack/image && go build -trimpath -o "$image" .)
printf '%-26s %12s %12s %12s %12s\n' archive compressed image budget replaced
for arch; do
	GOARCH=$arch ./hack/build.sh "dist/bin-$arch"
	for name in kubedns dnscache exechealthz; do
		# The image runs as the user that the Dockerfile names.
		user=$(sed -n 's/^USER //p' "images/$name/Dockerfile")
		archive=dist/$name-$arch.tar
		"$image" -name "$name:$tag" -arch "$arch" -user "$user" -max "$(budget "$name")" -o "$archive" "dist/bin-$arch/$name"
		printf '%-26s %12s %12s %12s %12s\n' "$archive" "$(wc -c <"$archive")" "$(wc -c <"dist/bin-$arch/$name")" \
			"$(budget "$name")" "$(replaced "$name")"
	done
done

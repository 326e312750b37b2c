#!/bin/sh
# Makes the three images as archives in dist/, one for each architecture:
#   images.sh [TAG [ARCH...]]     (defaults: latest, amd64 arm64)
# No daemon and no network are needed; the same sources give the same bytes.
set -eu
cd "$(dirname "$0")/.."

tag=${1:-latest}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- amd64 arm64

mkdir -p dist
image=$(pwd)/dist/.image
(cd hack/image && go build -trimpath -o "$image" .)
for arch; do
	GOARCH=$arch ./hack/build.sh "dist/bin-$arch"
	for name in kubedns dnscache exechealthz; do
		# The user that the Dockerfile names is the image's user.
		user=$(sed -n 's/^USER //p' "images/$name/Dockerfile")
		"$image" -name "$name:$tag" -arch "$arch" -user "$user" -o "dist/$name-$arch.tar" "dist/bin-$arch/$name"
	done
done
printf '%-28s %10s\n' archive bytes
for f in dist/*.tar; do
	printf '%-28s %10s\n' "$f" "$(wc -c <"$f")"
done

#!/bin/sh
# kube-binaries.sh [NAME...]: builds the Kubernetes programs that hack/kube.mod
# pins (kube-apiserver, etcd, kube-controller-manager, kube-scheduler, kubelet,
# kube-proxy, kubectl; default: the first two) into a cache folder and prints
# that folder. Programs that are there already are not built again. It may be
# interrupted, and may run twice at once: a program gets its name when it is complete.
set -eu
cd "$(dirname "$0")/.."

modfile=hack/kube.mod
build() { CGO_ENABLED=0 go build -modfile=hack/kube.mod "$@"; }
if [ -n "${KUBE_NEXT:-}" ]; then
	modfile=hack/kube-next/go.mod
	build() { (cd hack/kube-next && CGO_ENABLED=0 go build "$@"); }
fi
version=$(sed -n 's/.*k8s\.io\/kubernetes \(v[0-9.]*\)$/\1/p' "$modfile" | head -n 1)
dir=${KUBE_DNS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kube-dns}/kube-$version/bin
[ $# -gt 0 ] || set -- kube-apiserver etcd

package() {
	case $1 in
	etcd) echo go.etcd.io/etcd/server/v3 ;;
	kube-apiserver | kube-controller-manager | kube-scheduler | kubelet | kube-proxy | kubectl)
		echo "k8s.io/kubernetes/cmd/$1"
		;;
	*)
		echo "unknown program $1" >&2
		return 1
		;;
	esac
}

missing=""
for name; do
	package "$name" >/dev/null
	[ -x "$dir/$name" ] || missing="$missing $name"
done
if [ -z "$missing" ]; then
	echo "$dir"
	exit 0
fi

# The version that the programs report. Time and commit are fixed, so that a build
# depends only on the module file and on the Go version.
plain=${version#v}
minor=${plain#*.}
ldflags="-s -w"
for pkg in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
	ldflags="$ldflags -X $pkg.gitVersion=$version -X $pkg.gitMajor=${plain%%.*}"
	ldflags="$ldflags -X $pkg.gitMinor=${minor%%.*} -X $pkg.gitTreeState=clean"
	ldflags="$ldflags -X $pkg.gitCommit=$version -X $pkg.buildDate=1970-01-01T00:00:00Z"
done

mkdir -p "$dir"
# The lock is released when the last process that holds the descriptor ends.
exec 9>"$dir/.lock"
if ! flock -n 9; then
	echo "waiting for another build in $dir" >&2
	flock 9
fi
tmp=$(mktemp -d "$dir/.build.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
for name in $missing; do
	[ ! -x "$dir/$name" ] || continue
	echo "building $name for Kubernetes $version (once; takes minutes)" >&2
	build -trimpath -buildvcs=false \
		-ldflags "$ldflags" -o "$tmp/$name" "$(package "$name")" >&2 9>&-
	mv "$tmp/$name" "$dir/$name"
done
echo "$dir"

#!/bin/sh
# Prints the addon as one file for kubectl apply -f.
#   render.sh [CLUSTER-IP [DOMAIN [FOLDER]]]
# CLUSTER-IP (10.96.0.10) is the address that the kubelets were given with
# --cluster-dns; on an existing cluster:
#   kubectl -n kube-system get service kube-dns -o jsonpath='{.spec.clusterIP}'
# DOMAIN is theirs too (cluster.local). FOLDER is an overlay, or a folder with
# a kustomization of your own; it needs kubectl, or what KUBECTL names.
set -eu
folder=""
[ -z "${3:-}" ] || folder=$(cd "$3" && pwd)
cd "$(dirname "$0")/.."

ip=${1:-10.96.0.10}
domain=${2:-cluster.local}
domain=${domain%.}
case $ip in
*[!0-9a-fA-F.:]* | "") echo "render.sh: $ip is no address" >&2 && exit 1 ;;
esac
case $domain in
*[!a-z0-9.-]* | "" | .* | *..*) echo "render.sh: $domain is no domain" >&2 && exit 1 ;;
esac

# parts prints the documents as they stand.
parts() {
	if [ -n "$folder" ]; then
		"${KUBECTL:-kubectl}" kustomize "$folder"
		return
	fi
	first=1
	sed -n 's/^  - \(.*\.yaml\)$/\1/p' manifests/base/kustomization.yaml | while read -r file; do
		[ -n "$first" ] || echo ---
		first=""
		cat "manifests/base/$file"
	done
}

text=$(parts)
printf '%s\n' "$text" | sed -e '/^  clusterIP: None$/!s/^  clusterIP: .*/  clusterIP: "'"$ip"'"/' \
	-e '/^  clusterIPs:$/{n;s/- .*/- "'"$ip"'"/}' -e "s/cluster\.local/$domain/g"

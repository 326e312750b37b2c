#!/bin/sh
# Prints the addon's manifests as one file for kubectl apply -f.
#   render.sh [CLUSTER-IP [DOMAIN [FOLDER]]]
# CLUSTER-IP (default 10.96.0.10) is the kubelets' --cluster-dns. On a cluster that
# has a DNS Service, read it with
#   kubectl -n kube-system get service kube-dns -o jsonpath='{.spec.clusterIP}'
# DOMAIN (default cluster.local) is the kubelets' --cluster-domain. FOLDER is an
# overlay or a folder with your own kustomization; it needs kubectl, or the program
# that KUBECTL names.
set -eu
folder=""
[ -z "${3:-}" ] || folder=$(cd "$3" && pwd)
cd "$(dirname "$0")/.."

ip=${1:-10.96.0.10}
domain=${2:-cluster.local}
domain=${domain%.}
case $ip in
*[!0-9a-fA-F.:]* | "") echo "render.sh: invalid address: $ip" >&2 && exit 1 ;;
esac
case $domain in
*[!a-z0-9.-]* | "" | .* | *..*) echo "render.sh: invalid domain: $domain" >&2 && exit 1 ;;
esac

# parts prints the documents unchanged.
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

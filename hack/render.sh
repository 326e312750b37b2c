#!/bin/sh
# Prints the addon as one file for kubectl apply -f.
#   render.sh [CLUSTER-IP [DOMAIN]]   (defaults: 10.96.0.10 cluster.local)
# CLUSTER-IP is the address that the kubelets were given with --cluster-dns;
# on an existing cluster:
#   kubectl -n kube-system get service kube-dns -o jsonpath='{.spec.clusterIP}'
set -eu
cd "$(dirname "$0")/../manifests"

ip=${1:-10.96.0.10}
domain=${2:-cluster.local}
domain=${domain%.}
case $ip in
*[!0-9a-fA-F.:]* | "") echo "render.sh: $ip is no address" >&2 && exit 1 ;;
esac
case $domain in
*[!a-z0-9.-]* | "" | .* | *..*) echo "render.sh: $domain is no domain" >&2 && exit 1 ;;
esac

first=1
sed -n 's/^  - \(base\/.*\)/\1/p' kustomization.yaml | while read -r file; do
	[ -n "$first" ] || echo ---
	first=""
	sed -e "s/^  clusterIP: .*/  clusterIP: \"$ip\"/" -e "s/cluster\.local/$domain/g" "$file"
done

#!/usr/bin/env bash
# Prints the state of a cluster whose tests failed: Pods, events, the addon's logs,
# and the last log lines of the node's programs.
set -uo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=hack/cluster/lib.sh
. "$here/lib.sh"

part() { # TITLE COMMAND...
	echo "== $1"
	shift
	timeout -k 2 15 "$@" 2>&1 | tail -n 300
}
k=("${KUBECTL:-$("$here/../kube-binaries.sh" kubectl)/kubectl}" --kubeconfig "$state/pki/admin.kubeconfig" --request-timeout=5s)

part "pods" "${k[@]}" get pods -A -o wide
part "events" "${k[@]}" get events -A --sort-by=.lastTimestamp
part "the addon's pods" "${k[@]}" -n kube-system describe pods -l k8s-app=kube-dns
for container in kubedns dnscache healthz; do
	part "$container" "${k[@]}" -n kube-system logs -l k8s-app=kube-dns -c "$container" --prefix --tail=60
	part "$container before its restart" "${k[@]}" -n kube-system logs -l k8s-app=kube-dns -c "$container" --prefix --tail=20 --previous
done
for log in "$state"/logs/*.log; do
	part "$log" tail -n 25 "$log"
done
part "processes" ps -eo pid,ppid,stat,etime,args --sort=start_time
exit 0

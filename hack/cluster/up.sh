#!/usr/bin/env bash
# Brings up a one-node cluster on this machine from Kubernetes' own programs, without
# a registry or Docker, loads the addon's images, and applies the manifests. If the
# cluster is up already, only images and manifests are renewed. FAMILY=ipv6 makes IPv6
# the first family; APISERVER_FEATURE_GATES is passed to the API server.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
# shellcheck source=hack/cluster/lib.sh
. "$here/lib.sh"
need_root
cd "$root"

# Debian's packages, each with a command that it contains.
./hack/apt.sh containerd=containerd runc=runc iptables=iptables nft=nftables ip=iproute2 nsenter=util-linux pgrep=procps \
	conntrack=conntrack /usr/lib/cni/bridge=containernetworking-plugins
say "building what is missing (the first time takes minutes)"
bin=$(./hack/kube-binaries.sh etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl)
kubectl=$bin/kubectl
./hack/images.sh latest "$(go env GOARCH)" >/dev/null
mkdir -p "$state/bin" "$state/images"
CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$state/bin/" ./hack/cluster/pause ./hack/cluster/pki ./test/cluster/outside ./test/cluster/client
for name in pause:kube-dns.test/pause:1 client:kube-dns.test/client:1; do
	dist/.image -name "${name#*:}" -arch "$(go env GOARCH)" -o "$state/images/${name%%:*}.tar" "$state/bin/${name%%:*}"
done

start_node() {
	"$here/down.sh" quiet
	mkdir -p "$state/logs"
	rm -rf "$state/volatile" "$state/pids" "$state/stopped"
	"$state/bin/pki" "$state/pki" "$node_ip" "$node_ip6" "$service_ip" "$service_ip6"
	# setsid: Ctrl-C in the terminal must end up.sh, but not a node that is up.
	setsid unshare --mount --pid --net --uts --ipc --fork --kill-child --mount-proc --propagation private \
		bash "$here/node.sh" "$state" "$bin" >"$state/logs/node.log" 2>&1 </dev/null 9>&- &
	local outer=$! inner=""
	echo "$outer" >"$state/outer"
	for _ in $(seq 100); do
		inner=$(pgrep -P "$outer" || true)
		[ -z "$inner" ] || break
		sleep 0.05
	done
	[ -n "$inner" ] || die "the node did not start: $(cat "$state/logs/node.log")"
	echo "$inner" >"$state/pid"
	ip link add "$host_if" type veth peer name eth0 netns "$inner"
	ip addr add "$host_ip/24" dev "$host_if"
	ip link set "$host_if" up
	ip route replace "$service_range" via "$node_ip" dev "$host_if"
	ip route replace "$pod_range" via "$node_ip" dev "$host_if"
	if ip addr add "$host_ip6/64" dev "$host_if" nodad 2>/dev/null; then
		ip route replace "$service_range6" via "$node_ip6" dev "$host_if"
		ip route replace "$pod_range6" via "$node_ip6" dev "$host_if"
	else
		say "this machine has no IPv6: the node's IPv6 addresses can be reached from its Pods only"
	fi
}

wait_for() { # SECONDS WHAT COMMAND...
	local limit=$1 what=$2
	shift 2
	for _ in $(seq $((limit * 5))); do
		if "$@" >/dev/null 2>&1; then
			return 0
		fi
		[ -n "$(node_pid)" ] || die "the node ended while waiting for $what; see $state/logs"
		sleep 0.2
	done
	die "no $what within $limit s; see $state/logs"
}

export KUBECONFIG=$state/pki/admin.kubeconfig
in_node() { nsenter -t "$(node_pid)" --mount --pid --net --uts --ipc -- "$@"; }

if [ -n "$(node_pid)" ]; then
	say "the node is up already"
	rm -f "$state"/stopped/*
else
	say "starting the node"
	trap '"$here/down.sh" quiet' EXIT
	start_node
fi
wait_for 180 "API server" "$kubectl" get --raw /readyz
wait_for 180 "containerd" in_node ctr version
arch=$(go env GOARCH)
for f in "$state"/images/*.tar "$root"/dist/{kubedns,dnscache,exechealthz}-"$arch".tar; do
	in_node ctr -n k8s.io images import "$f" >/dev/null
done
wait_for 180 "node registration" "$kubectl" get node node
wait_for 180 "default service account" "$kubectl" -n kube-system get serviceaccount default
say "applying the manifests"
"$kubectl" apply -k "$addon" >/dev/null
if [ "${1:-}" != nowait ]; then
	if ! "$kubectl" -n kube-system rollout status deployment/kube-dns --timeout=3m >&2; then
		"$kubectl" -n kube-system describe pods -l k8s-app=kube-dns >&2 || true
		"$kubectl" -n kube-system logs -l k8s-app=kube-dns --all-containers --prefix --tail=20 >&2 || true
		die "the addon did not become ready"
	fi
fi
trap - EXIT

cat <<TEXT
The cluster is up. Try:
  export KUBECONFIG=$KUBECONFIG
  $kubectl -n kube-system get pods
  dig @$cluster_dns kubernetes.default.svc.cluster.local
  $kubectl run ask --rm -i --restart=Never --image=kube-dns.test/client:1 -- lookup kubernetes.default
  make cluster-down
TEXT

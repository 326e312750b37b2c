# Names and addresses that the cluster's scripts share. Sourced, not run.
# shellcheck shell=bash disable=SC2034

state=${KUBE_DNS_CLUSTER:-/var/tmp/kube-dns-cluster}
host_ip=10.250.0.1
node_ip=10.250.0.2
service_ip=10.96.0.1
dns_ip=10.96.0.10
service_range=10.96.0.0/16
pod_range=10.244.0.0/24
host_if=kube-dns-host

say() { echo "cluster: $*" >&2; }

die() {
	say "$*"
	exit 1
}

need_root() {
	[ "$(uname -s)" = Linux ] || die "needs Linux: the node is made of Linux namespaces"
	[ "$(id -u)" = 0 ] || die "needs root: the node mounts, makes network interfaces and runs containers"
}

# node_pid prints the node's first process, nothing if there is none.
node_pid() {
	local pid
	pid=$(cat "$state/pid" 2>/dev/null) || return 0
	# The number may have been given to somebody else since.
	if tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q "node.sh $state"; then
		echo "$pid"
	fi
}

# Names and addresses that the cluster's scripts share. Sourced, not run.
# shellcheck shell=bash disable=SC2034

state=${KUBE_DNS_CLUSTER:-/var/tmp/kube-dns-cluster}
host_ip=10.250.0.1
node_ip=10.250.0.2
service_ip=10.96.0.1
dns_ip=10.96.0.10
service_range=10.96.0.0/16
pod_range=10.244.0.0/24
host_ip6=fd00:10:250::1
node_ip6=fd00:10:250::2
service_ip6=fd00:10:96::1
dns_ip6=fd00:10:96::a
service_range6=fd00:10:96::/112
pod_range6=fd00:10:244::/64
host_if=kube-dns-host

# FAMILY=ipv6 makes IPv6 the cluster's first family: of Services, of Pods and of
# the addon's address, for which the overlay ipv6 is applied. ADDON names another
# folder to apply.
case ${FAMILY:-ipv4} in
ipv4)
	advertise_ip=$node_ip
	node_ips=$node_ip,$node_ip6
	service_ranges=$service_range,$service_range6
	pod_ranges=$pod_range,$pod_range6
	cluster_dns=$dns_ip
	addon=${ADDON:-manifests}
	;;
ipv6)
	advertise_ip=$node_ip6
	node_ips=$node_ip6,$node_ip
	service_ranges=$service_range6,$service_range
	pod_ranges=$pod_range6,$pod_range
	cluster_dns=$dns_ip6
	addon=${ADDON:-manifests/overlays/ipv6}
	;;
*)
	echo "cluster: FAMILY is $FAMILY; want ipv4 or ipv6" >&2
	exit 1
	;;
esac

say() { echo "cluster: $*" >&2; }

die() {
	say "$*"
	exit 1
}

need_root() {
	[ "$(uname -s)" = Linux ] || die "needs Linux: the node is made of Linux namespaces"
	[ "$(id -u)" = 0 ] || die "needs root: the node mounts, makes network interfaces and runs containers"
}

# node_pid prints the process id of the node's first process, or nothing.
node_pid() { own_pid "$state/pid"; }

# own_pid prints the process id in a file if that is still a process of the node.
own_pid() {
	local pid
	pid=$(cat "$1" 2>/dev/null) || return 0
	# The process id may have been reused since.
	if tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q "node.sh $state "; then
		echo "$pid"
	fi
}

# one_run makes sure that only one such script runs at a time. The lock is held until the last
# process with this file descriptor ends; the node does not inherit it.
one_run() {
	exec 9>"$state.lock"
	flock -n 9 || die "another run uses the cluster in $state"
}

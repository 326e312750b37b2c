#!/usr/bin/env bash
# node.sh STATE BINARIES: the machine on which the cluster runs. It is the first
# process of its own PID, mount, network, UTS and IPC namespaces: when it ends,
# every process, mount, interface and firewall rule of the node ends with it.
# Started by up.sh.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=hack/cluster/lib.sh
. "$here/lib.sh"
state=$1
bin=$2
pki=$state/pki
logs=$state/logs

hostname node
mount --make-rshared /
mount -t tmpfs tmpfs /run
mkdir -p "$state/volatile"
for dir in /var/lib/kubelet /var/lib/containerd /var/lib/cni /var/log/pods /var/log/containers /etc/cni/net.d; do
	mkdir -p "$dir" "$state/volatile$dir"
	mount --bind "$state/volatile$dir" "$dir"
	mount --make-rshared "$dir"
done
# The kubelet sets these sysctls for the whole machine; let it write to copies.
for knob in vm/overcommit_memory kernel/panic kernel/panic_on_oops; do
	copy=$state/volatile/$(basename "$knob")
	cat "/proc/sys/$knob" >"$copy"
	mount --bind "$copy" "/proc/sys/$knob"
done

ip link set lo up
# up.sh moves this end of the veth pair into the node.
for _ in $(seq 200); do
	ip link show eth0 >/dev/null 2>&1 && break
	sleep 0.05
done
# Addresses of both families. Nobody else is on the link, so duplicate address
# detection is off.
sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0 net.ipv6.conf.default.accept_dad=0
ip addr add "$node_ip/24" dev eth0
ip addr add "$node_ip6/64" dev eth0 nodad
ip link set eth0 up
# There is no default route, so nothing leaves the node. The Service range needs a
# route, or the kernel rejects the packet before kube-proxy's rules rewrite it.
ip route add "$service_range" dev lo
ip route add "$service_range6" dev lo src "$node_ip6"
sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.route_localnet=1 net.ipv6.conf.all.forwarding=1

cat >/etc/cni/net.d/10-bridge.conflist <<CNI
{"cniVersion": "1.0.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "${pod_ranges%,*}"}], [{"subnet": "${pod_ranges#*,}"}]],
            "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
CNI

cat >"$state/containerd.toml" <<TOML
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "kube-dns.test/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
TOML

cat >"$state/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication:
  anonymous: {enabled: false}
  x509: {clientCAFile: $pki/ca.crt}
authorization: {mode: Webhook}
clusterDNS: ["$cluster_dns"]
clusterDomain: cluster.local
resolvConf: $state/resolv.conf
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
maxPods: 250
evictionHard: {memory.available: 50Mi, nodefs.available: 1Mi, imagefs.available: 1Mi}
nodeStatusUpdateFrequency: 2s
syncFrequency: 2s
YAML
# Pods with dnsPolicy Default, the addon among them, and the node's own programs ask
# the scripted resolver, so that no query leaves the machine.
echo "nameserver $node_ip" >"$state/resolv.conf"
mount --bind "$state/resolv.conf" /etc/resolv.conf

# run NAME COMMAND...: runs a program of the node and starts it again when it ends,
# unless $state/stopped has a file of that name.
run() {
	local name=$1
	shift
	(
		while :; do
			if [ -e "$state/stopped/$name" ]; then
				sleep 0.1
				continue
			fi
			"$@" >>"$logs/$name.log" 2>&1 &
			echo $! >"$state/pids/$name"
			wait $! || true
			sleep 0.2
		done
	) &
}

mkdir -p "$state/pids" "$state/stopped" "$logs"
run outside "$state/bin/outside" -listen "$node_ip:53"
run outside6 "$state/bin/outside" -listen "[$node_ip6]:53"
run etcd "$bin/etcd" --data-dir="$state/volatile/etcd" --unsafe-no-fsync \
	--listen-client-urls=http://127.0.0.1:2379 --advertise-client-urls=http://127.0.0.1:2379 \
	--listen-peer-urls=http://127.0.0.1:2380 --log-level=warn
run kube-apiserver "$bin/kube-apiserver" --etcd-servers=http://127.0.0.1:2379 \
	--advertise-address="$advertise_ip" --secure-port=6443 --service-cluster-ip-range="$service_ranges" \
	--tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" \
	--client-ca-file="$pki/ca.crt" --requestheader-client-ca-file="$pki/ca.crt" --requestheader-allowed-names=front-proxy-client \
	--kubelet-client-certificate="$pki/admin.crt" --kubelet-client-key="$pki/admin.key" \
	--kubelet-preferred-address-types=InternalIP \
	--service-account-key-file="$pki/sa.crt" --service-account-signing-key-file="$pki/sa.key" \
	--service-account-issuer=https://kubernetes.default.svc.cluster.local \
	--authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged \
	${APISERVER_FEATURE_GATES:+"--feature-gates=$APISERVER_FEATURE_GATES"}
# With the default grace period, after an outage of the API server of one minute the
# controller declares the node dead before the kubelet has reported again, and takes
# all its Pods out of their Services.
run kube-controller-manager "$bin/kube-controller-manager" --kubeconfig="$pki/kube-controller-manager.kubeconfig" \
	--service-account-private-key-file="$pki/sa.key" --root-ca-file="$pki/ca.crt" \
	--use-service-account-credentials --leader-elect=false --kube-api-qps=500 --kube-api-burst=1000 \
	--node-monitor-grace-period=30m
run kube-scheduler "$bin/kube-scheduler" --kubeconfig="$pki/kube-scheduler.kubeconfig" --leader-elect=false
run containerd containerd --config "$state/containerd.toml"
run kubelet "$bin/kubelet" --config="$state/kubelet.yaml" --kubeconfig="$pki/kubelet.kubeconfig" \
	--hostname-override=node --node-ip="$node_ips" --root-dir=/var/lib/kubelet
# ctl.sh proxy writes the mode and restarts it.
echo iptables >"$state/proxy-mode"
# shellcheck disable=SC2016 # expanded at each start
run kube-proxy bash -c 'exec "$@" --proxy-mode="$(cat "$0")"' "$state/proxy-mode" \
	"$bin/kube-proxy" --kubeconfig="$pki/kube-proxy.kubeconfig" --hostname-override=node \
	--cluster-cidr="$pod_ranges" --oom-score-adj=0 \
	--conntrack-max-per-core=0 --conntrack-tcp-timeout-established=0 --conntrack-tcp-timeout-close-wait=0

# As the first process, reap what the containers' shims leave behind, until told to
# end.
trap 'exit 0' TERM INT
while :; do
	wait -n || true
	sleep 0.2
done

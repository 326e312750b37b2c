#!/usr/bin/env bash
# Controls a cluster that is up:
#   ctl.sh stop PROGRAM    end a program of the node and keep it from restarting
#   ctl.sh start PROGRAM   let it start again
#   ctl.sh restart PROGRAM end it; it starts again at once
#   ctl.sh proxy MODE      restart kube-proxy in the mode iptables or nftables
#   ctl.sh in COMMAND...   run a command inside the node
# PROGRAM is etcd, kube-apiserver, kubelet, containerd and so on.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=hack/cluster/lib.sh
. "$here/lib.sh"
need_root
pid=$(node_pid)
[ -n "$pid" ] || die "no cluster is up (make cluster)"

in_node() { nsenter -t "$pid" --mount --pid --net --uts --ipc -- "$@"; }
# The process ids are those in the node's own PID namespace.
end() { in_node kill "-$1" "$(cat "$state/pids/$2")"; }

case ${1:-} in
stop)
	touch "$state/stopped/$2"
	end KILL "$2"
	;;
start) rm -f "$state/stopped/$2" ;;
restart) end TERM "$2" ;;
proxy)
	case ${2:-} in
	iptables | nftables) ;;
	*) die "unknown mode of kube-proxy: ${2:-}; want iptables or nftables" ;;
	esac
	echo "$2" >"$state/proxy-mode"
	end TERM kube-proxy
	;;
in)
	shift
	in_node "$@"
	;;
*) die "usage: ctl.sh stop|start|restart PROGRAM, ctl.sh proxy MODE, or ctl.sh in COMMAND..." ;;
esac

#!/usr/bin/env bash
# Removes the cluster with everything that belongs to it. It may run when none is up.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=hack/cluster/lib.sh
. "$here/lib.sh"
need_root

# The node's first process, and the process outside that started it, since an
# interrupted start may have recorded only the latter.
for file in "$state/pid" "$state/outer"; do
	pid=$(own_pid "$file")
	[ -n "$pid" ] || continue
	kill -KILL "$pid" 2>/dev/null || true
	for _ in $(seq 100); do
		[ -e "/proc/$pid" ] || break
		sleep 0.1
	done
done
ip link del "$host_if" 2>/dev/null || true
# The kernel keeps empty control groups; those with these names are the node's.
for controller in /sys/fs/cgroup /sys/fs/cgroup/*; do
	for group in kubepods k8s.io; do
		[ -d "$controller/$group" ] || continue
		find "$controller/$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
	done
done
if [ "${1:-}" != quiet ]; then
	rm -rf "$state" "$state.lock"
	say "down"
else
	rm -rf "$state/volatile" "$state/pid" "$state/outer"
fi

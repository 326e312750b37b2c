#!/usr/bin/env bash
# Takes the cluster down and leaves nothing behind. Runs again without harm.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=hack/cluster/lib.sh
. "$here/lib.sh"
need_root

# The node's first process, and the one outside that started it, in case an
# interrupted start knows no more than that one.
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
# The kernel keeps empty control groups; they are the node's, by name.
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

#!/usr/bin/env bash
# pack.sh NAME:TAG DIR ENTRYPOINT CMD OUT: packs a folder into a docker archive.
# ENTRYPOINT and CMD are JSON lists, or null.
set -euo pipefail
name=$1 root=$2 entrypoint=$3 cmd=$4 out=$5

tmp=$(mktemp -d "$(dirname "$out")/.pack.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
tar=(tar --sort=name --mtime=@0 --numeric-owner --owner=0 --group=0)
"${tar[@]}" -C "$root" -cf "$tmp/layer.tar" .
sum=$(sha256sum "$tmp/layer.tar" | cut -d' ' -f1)
arch=$(go env GOARCH)
cat >"$tmp/config.json" <<JSON
{"architecture": "$arch", "os": "linux", "created": "1970-01-01T00:00:00Z",
 "config": {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "Entrypoint": $entrypoint, "Cmd": $cmd, "WorkingDir": "/"},
 "rootfs": {"type": "layers", "diff_ids": ["sha256:$sum"]},
 "history": [{"created": "1970-01-01T00:00:00Z"}]}
JSON
cat >"$tmp/manifest.json" <<JSON
[{"Config": "config.json", "RepoTags": ["$name"], "Layers": ["layer.tar"]}]
JSON
"${tar[@]}" -C "$tmp" -cf "$out" manifest.json config.json layer.tar

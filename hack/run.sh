#!/bin/sh
# Starts the three binaries of bin/ on loopback and looks up a few names; see
# hack/demo. KUBECONFIG=FILE serves that cluster, ONCE=1 exits after the lookups,
# DEMO_*_PORT set other ports.
set -eu
cd "$(dirname "$0")/.."

go build -trimpath -o dist/demo ./hack/demo
# Replaces this shell, so that signals reach the program.
exec ./dist/demo

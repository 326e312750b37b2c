#!/bin/sh
# Starts the three binaries of bin/ on loopback and asks them a few names; see
# hack/demo. KUBECONFIG=FILE serves that cluster, ONCE=1 ends after the answers,
# DEMO_*_PORT choose other ports.
set -eu
cd "$(dirname "$0")/.."

go build -trimpath -o dist/demo ./hack/demo
# In place of this shell, so that signals reach it.
exec ./dist/demo

#!/bin/sh
# Builds the three binaries in bin/ (or in $1): static, reproducible, without cgo.
set -eu
cd "$(dirname "$0")/.."

out=${1:-bin}
version=${VERSION:-$(git describe --tags --always --dirty 2>/dev/null || echo unknown)}
mkdir -p "$out"
CGO_ENABLED=0 go build -trimpath -buildvcs=false \
	-ldflags "-s -w -buildid= -X github.com/kube-dns/kube-dns/pkg/version.version=$version" \
	-o "$out/" ./cmd/kubedns ./cmd/dnscache ./cmd/exechealthz

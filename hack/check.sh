#!/bin/sh
# Everything that can be said about the code without a cluster: formatting,
# vet, linters, shell scripts, module files, import rules, race-enabled tests.
set -eu
cd "$(dirname "$0")/.."

./hack/apt.sh shellcheck=shellcheck gcc=gcc dig=dnsutils dnsmasq=dnsmasq-base ip=iproute2
tools=$(./hack/tools.sh)

step() { echo "== $*" >&2; }

step gofumpt
unformatted=$("$tools/gofumpt" -l cmd pkg hack test)
if [ -n "$unformatted" ]; then
	echo "not gofumpt-clean:" "$unformatted" >&2
	exit 1
fi
step go vet
go vet ./...
GOARCH=arm64 go vet ./pkg/... ./cmd/...
step staticcheck
# Uses of what is deprecated (SA1019) are golangci-lint's to judge: there each
# one that stays says why.
"$tools/staticcheck" -checks=inherit,-SA1019 ./...
step golangci-lint
"$tools/golangci-lint" run ./...
step shellcheck
shellcheck hack/*.sh hack/cluster/*.sh .ci/run
step go mod tidy
go mod tidy -diff
step race-enabled tests
# Most of test/ runs the real programs beside others: make test does that.
go list ./... | grep -v -e /test/ | xargs go test -race -shuffle=on -timeout=10m ./test/arch ./test/manifests

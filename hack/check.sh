#!/bin/sh
# Checks the code without a cluster: formatting, vet, linters, dead code, known
# vulnerabilities, shell scripts, module files, import rules, race-enabled tests.
# VULNDB is the URL of the vulnerability database to use instead of the public one.
set -eu
cd "$(dirname "$0")/.."

./hack/apt.sh shellcheck=shellcheck gcc=gcc dig=dnsutils dnsmasq=dnsmasq-base ip=iproute2
tools=$(./hack/tools.sh)

step() { echo "== $*" >&2; }

step gofumpt
unformatted=$("$tools/gofumpt" -l cmd pkg hack test)
if [ -n "$unformatted" ]; then
	echo "not formatted by gofumpt:" "$unformatted" >&2
	exit 1
fi
step go vet
go vet ./...
GOARCH=arm64 go vet ./pkg/... ./cmd/...
step staticcheck
# golangci-lint judges the uses of deprecated code (SA1019): there, each use that
# stays is annotated with its reason.
"$tools/staticcheck" -checks=inherit,-SA1019 ./...
step golangci-lint
"$tools/golangci-lint" run ./...
step deadcode
# Reports the functions that neither a program nor a test can reach. It exits with
# 0 whatever it finds.
unreachable=$("$tools/deadcode" -test -tags cluster ./...)
if [ -n "$unreachable" ]; then
	echo "$unreachable" >&2
	exit 1
fi
step govulncheck
# Exits with 3 if a program calls code with a known vulnerability, and with 1 if
# the check itself could not run, as on a machine that cannot reach the database.
status=0
report=$(timeout 120 "$tools/govulncheck" ${VULNDB:+-db="$VULNDB"} ./... 2>&1) || status=$?
case $status in
0) ;;
3)
	echo "$report" >&2
	exit 1
	;;
*) echo "NOT CHECKED for known vulnerabilities, continuing without: $(echo "$report" | tail -n 1)" >&2 ;;
esac
step shellcheck
shellcheck hack/*.sh hack/*/*.sh .ci/run
step go mod tidy
go mod tidy -diff
step race-enabled tests
# Most of the tests under test/ run the real programs beside others: `make test`
# runs those.
go list ./... | grep -v -e /test/ | xargs go test -race -shuffle=on -timeout=10m ./test/arch ./test/manifests

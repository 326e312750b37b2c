#!/usr/bin/env bash
# verify.sh [REVISION]: clones this repository at REVISION (default HEAD) into a
# temporary folder, builds, checks and tests it there, and prints one page:
# versions, results, times and what was skipped. The logs are kept in
# dist/verify. STEPS="build check" runs these steps only. Needs root and Linux, as
# the cluster does.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2

revision=$(git rev-parse --verify "${1:-HEAD}^{commit}") || exit 2
logs=$PWD/dist/verify
rm -rf "$logs"
mkdir -p "$logs"
clone=$(mktemp -d)
trap 'rm -rf "$clone"' EXIT
git clone -q . "$clone" && git -C "$clone" checkout -q "$revision" || exit 2

rows=""
failed=0
step() { # NAME COMMAND...
	local name=$1 start=$SECONDS result=passed
	shift
	case " ${STEPS:-$name} " in
	*" $name "*) ;;
	*)
		rows="$rows| $name | not run | |"$'\n'
		return
		;;
	esac
	echo "verify: $name" >&2
	(cd "$clone" && "$@") >"$logs/$name.log" 2>&1 || {
		result=FAILED
		failed=1
	}
	rows="$rows| $name | $result | $((SECONDS - start)) s |"$'\n'
}
step build make build
step run make run ONCE=1
step check make check
step test make test
step cluster make test-cluster
step conformance-ipv6 env FAMILIES=ipv6 ./hack/test-conformance.sh

count() { grep -hE "$1" "$logs"/*.log | sort -u | wc -l; }
cat <<PAGE

# kube-dns $revision

$(cd "$clone" && go version | cut -d' ' -f3-), Linux $(uname -r), $(nproc) cores
Kubernetes $(awk '$1 == "k8s.io/kubernetes" {print $2; exit}' hack/kube.mod), CoreDNS $(awk '$1 == "require" && $2 == "github.com/coredns/coredns" {print $3}' hack/coredns.mod)

| Step | Result | Time |
|---|---|---|
$rows
Go packages with tests that passed: $(count '^ok  ')
Tests on the node: $(count '^ *--- PASS') passed, $(count '^ *--- FAIL') failed
Kubernetes' own specs: $(grep -hE '^Ran [0-9]+ of' "$logs"/*.log | tr '\n' ' ')

Skipped, with the reason (none: nothing was):
$(grep -hE -A1 '^ *--- SKIP' "$logs"/*.log | grep -v -e '^--$' | sort -u | head -n 40)

The logs are in $logs.
PAGE
exit "$failed"

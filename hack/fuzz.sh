#!/bin/sh
# Runs every fuzz target for FUZZTIME (default 30s) each, or those of the
# package named as the first argument. Stops at the first finding.
set -eu
cd "$(dirname "$0")/.."

# Inputs are made small in a few steps only: by default that takes a minute for
# each that is new, which is all the time there is.
fuzztime=${FUZZTIME:-30s}
# shellcheck disable=SC2086 # the default is two folders
for dir in $(grep -rl --include='*_test.go' '^func Fuzz' ${1:-pkg cmd} | xargs -n1 dirname | sort -u); do
	targets=$(grep -h -o '^func Fuzz[A-Za-z0-9_]*' "$dir"/*_test.go | cut -d' ' -f2 | sort -u)
	for target in $targets; do
		echo "== $dir $target" >&2
		go test "./$dir" -run='^$' -fuzz="^$target\$" -fuzztime="$fuzztime" -fuzzminimizetime=10x
	done
done

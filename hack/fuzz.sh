#!/bin/sh
# Runs each fuzz target for FUZZTIME (default 30s): all of them, or those of the
# package given as the first argument. Stops at the first failure.
set -eu
cd "$(dirname "$0")/.."

# Minimizing a new input takes up to a minute by default, which is more than
# FUZZTIME; a few steps are enough.
fuzztime=${FUZZTIME:-30s}
# shellcheck disable=SC2086 # the default is two folders
for dir in $(grep -rl --include='*_test.go' '^func Fuzz' ${1:-pkg cmd} | xargs -n1 dirname | sort -u); do
	targets=$(grep -h -o '^func Fuzz[A-Za-z0-9_]*' "$dir"/*_test.go | cut -d' ' -f2 | sort -u)
	for target in $targets; do
		echo "== $dir $target" >&2
		go test "./$dir" -run='^$' -fuzz="^$target\$" -fuzztime="$fuzztime" -fuzzminimizetime=10x
	done
done

#!/bin/sh
# The churn test for as long as SOAK says (8h unless set), with new random
# changes and faults each time: answers must never go wrong, and memory must
# not grow from epoch to epoch.
set -eu
cd "$(dirname "$0")/.."

SOAK=${SOAK:-8h} exec go test -count=1 -timeout=0 -v -run='^TestChurn$' ./test/churn

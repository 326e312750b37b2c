#!/bin/sh
# Runs the churn test for the time in SOAK (default 8h), with different random changes
# and faults each time. No answer may be wrong, and memory must not grow.
set -eu
cd "$(dirname "$0")/.."

SOAK=${SOAK:-8h} exec go test -count=1 -timeout=0 -v -run='^TestChurn$' ./test/churn

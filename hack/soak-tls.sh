#!/bin/sh
# Queries dnscache and kubedns, for the time in SOAK (default 5m), while their servers over
# TLS close connections, stall, send single octets or garbage, and change certificates. While
# one server works, and the program has used it since its last failure, every query must get
# its answer; at other times a query may get SERVFAIL. No answer may be wrong, nothing may be
# sent in clear text, and memory, goroutines and file descriptors must not grow. Each program
# also makes 10 000 connections, and is restarted in the middle of faults in its
# configuration, while all packets are captured.
set -eu
cd "$(dirname "$0")/.."

export SOAK_TLS="${SOAK:-5m}"
exec go test ./test/encrypted -run '^(TestManyConnections|TestSoak|TestNeverInClear)$' -count=1 -v -timeout=0

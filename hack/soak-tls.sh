#!/bin/sh
# Queries dnscache and kubedns while their servers over TLS close, stall, drip, send
# garbage and change certificates, for the time in SOAK (default 5m). While one server is
# well, and the program has used it since it last failed, every query must get its
# answer; at other times it may get SERVFAIL. No answer may be wrong, nothing may leave in
# clear text, and memory, goroutines and file descriptors must not grow. Each program makes
# 10 000 connections, too, and is restarted in the middle of faults in its configuration,
# while all packets are watched.
set -eu
cd "$(dirname "$0")/.."

export SOAK_TLS="${SOAK:-5m}"
exec go test ./test/encrypted -run '^(TestManyConnections|TestSoak|TestNeverInClear)$' -count=1 -v -timeout=0

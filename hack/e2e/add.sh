#!/usr/bin/env bash
# add.sh DIR PROGRAM...: copies this machine's programs and their libraries to DIR.
set -euo pipefail
out=$1
shift
for name; do
	program=$(command -v "$name")
	cp -L "$program" "$out/usr/bin/"
	ldd "$program" | grep -o '/[^ ]*' | while read -r lib; do
		mkdir -p "$out$(dirname "$lib")"
		[ -e "$out$lib" ] || cp -L "$lib" "$out$lib"
	done
done

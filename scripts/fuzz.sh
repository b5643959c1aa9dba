#!/usr/bin/env bash
# fuzz.sh [package ...]: every fuzz target in turn, FUZZTIME (20s) each.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- ./...
found=0
for pkg in $(go list "$@"); do
	# `go test -list` prints the names, then a line "ok package".
	for target in $(go test -list '^Fuzz' "$pkg" | grep '^Fuzz' || true); do
		found=$((found + 1))
		echo "$pkg $target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-20s}" "$pkg"
	done
done
echo "$found fuzz targets ran"

#!/usr/bin/env bash
# test.sh [package ...]: every test, the race detector on, and a loud word about
# whatever was skipped. The exit code is that of `go test`; with CURFEW_CI=1 a
# skip is a failure too.
#
#   CURFEW_RACE=0       without the race detector
#   CURFEW_TEST_POSTGRES=URL  a running server; else one is started for the run
set -uo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- ./...

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
loud=()

race=(-race)
if [ "${CURFEW_RACE:-1}" = 0 ]; then
	race=()
	loud+=("the race detector was off (CURFEW_RACE=0)")
elif ! command -v "$(go env CC | cut -d' ' -f1)" >/dev/null; then
	race=()
	loud+=("the race detector was off: it needs a C compiler (apt-get install gcc libc6-dev)")
else
	export CGO_ENABLED=1
fi

# One PostgreSQL for all packages. It ends when descriptor 9 closes, however this
# script ends.
if [ -z "${CURFEW_TEST_POSTGRES:-}" ]; then
	mkfifo "$tmp/hold"
	sh internal/store/storetest/postgres.sh <"$tmp/hold" >"$tmp/dsn" 2>"$tmp/postgres" &
	pg_pid=$!
	exec 9>"$tmp/hold"
	while [ ! -s "$tmp/dsn" ] && kill -0 "$pg_pid" 2>/dev/null; do sleep 0.05; done
	if [ -s "$tmp/dsn" ]; then
		CURFEW_TEST_POSTGRES=$(cat "$tmp/dsn")
		export CURFEW_TEST_POSTGRES
	else # tests that want it start their own, skip or fail, each with the reason
		cat "$tmp/postgres" >&2
	fi
fi

# vet is a part of `make check`; -v because a skip is silent without it.
go test -v -vet=off -timeout 10m "${race[@]}" "$@" 2>&1 9>&- | awk -v skips="$tmp/skips" -f scripts/testsum.awk 9>&-
rc=${PIPESTATUS[0]}

if [ -n "${pg_pid:-}" ]; then
	exec 9>&-
	wait "$pg_pid" 2>/dev/null
fi

if [ -s "$tmp/skips" ]; then
	loud+=("$(wc -l <"$tmp/skips") test(s) did not run:")
	while read -r line; do loud+=("  $line"); done <"$tmp/skips"
fi
for line in ${loud[@]+"${loud[@]}"}; do echo "SKIPPED: $line"; done
if [ "${CURFEW_CI:-}" = 1 ] && [ ${#loud[@]} -gt 0 ]; then
	echo "FAIL: CURFEW_CI=1 allows no skip"
	[ "$rc" -ne 0 ] || rc=1
fi
exit "$rc"

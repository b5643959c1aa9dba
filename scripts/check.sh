#!/usr/bin/env bash
# check.sh: what must hold before a commit, apart from the tests. Runs all of it
# and fails at the end, so that one run shows everything.
set -uo pipefail
cd "$(dirname "$0")/.."
# As the binary is built; and one cold build of the dependencies instead of two.
export CGO_ENABLED=0
rc=0
step() {
	local name=$1 out
	shift
	if out=$("$@" 2>&1); then
		echo "ok    $name"
	else
		printf 'FAIL  %s\n%s\n' "$name" "$out"
		rc=1
	fi
}
formatted() {
	local files
	files=$(gofmt -l .) && [ -z "$files" ] || { echo "$files"; return 1; }
}

step "gofmt" formatted
step "go build, without cgo" go build -o /dev/null ./...
step "go vet" go vet ./...
# The linter has a module of its own, so that its dependencies are not ours.
step "staticcheck" go tool -modfile=tools/go.mod staticcheck ./...
# The tests of the root package: the plan of the house, the walks.
step "the house" go test -count=1 .
exit $rc

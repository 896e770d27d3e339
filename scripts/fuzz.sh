#!/usr/bin/env bash
# Runs every fuzz target of all packages, one after the other.
# usage: scripts/fuzz.sh [time per target]
set -euo pipefail
cd "$(dirname "$0")/.."

time=${1:-60s}
targets=0
packages=$(go list ./...)
for package in $packages; do
	list=$(go test -list '^Fuzz' "$package")
	for target in $(grep '^Fuzz' <<<"$list" || true); do
		echo "== $package $target, $time"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$package"
		targets=$((targets + 1))
	done
done
echo "fuzz: $targets targets, no crash"

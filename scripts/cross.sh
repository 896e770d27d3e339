#!/usr/bin/env bash
# Builds and vets all modules, with their tests, for other systems, without cgo.
# usage: scripts/cross.sh [system/processor…]
set -euo pipefail
cd "$(dirname "$0")/.."

if [ $# -eq 0 ]; then
	set -- linux/arm64 linux/386 darwin/arm64 windows/amd64 freebsd/amd64
fi
export CGO_ENABLED=0
for target; do
	begin=$SECONDS
	export GOOS=${target%/*} GOARCH=${target#*/}
	go build -ldflags='-s -w' ./... ./cmd/... ./e2e/...
	go vet ./... ./cmd/... ./e2e/...
	echo "cross: $target, $((SECONDS - begin)) s"
done

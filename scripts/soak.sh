#!/usr/bin/env bash
# Repeats the unit tests, shuffled, with the race detector and then in their full
# form, which tries every case of a product (FLIGHTPATH_SOAK=1), the interop tests
# with other losses, and small floods, until the time is over or one fails. Each
# round prints its seed:
# FLIGHTPATH_SEED=<seed> go test ./e2e/interop repeats a round's interop part,
# FLIGHTPATH_SIM_FIRST=<seed> go test ./dtls its random paths.
# usage: scripts/soak.sh [seconds]
set -euo pipefail
cd "$(dirname "$0")/.."

end=$(($(date +%s) + ${1:-3600}))
round=0
while [ "$(date +%s)" -lt "$end" ]; do
	round=$((round + 1))
	export FLIGHTPATH_SEED=$RANDOM$RANDOM FLIGHTPATH_SIM_FIRST=$((RANDOM * 32768 + RANDOM))
	echo "== round $round, FLIGHTPATH_SEED=$FLIGHTPATH_SEED FLIGHTPATH_SIM_FIRST=$FLIGHTPATH_SIM_FIRST"
	go test -race -count 1 -shuffle on -timeout 20m ./...
	FLIGHTPATH_SOAK=1 go test -count 1 -shuffle on -timeout 60m ./dtls ./record ./internal/...
	go test -race -count 1 -timeout 10m -parallel 16 ./e2e/interop
	go test -race -count 1 -timeout 10m ./e2e/flood
done
echo "soak: $round rounds passed"

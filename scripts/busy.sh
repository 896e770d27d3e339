#!/usr/bin/env bash
# Runs a command while two other jobs keep two cores busy, and ends with its
# exit status: tests must not need a fast scheduler.
# usage: scripts/busy.sh command [argument…]
set -euo pipefail

if [ $# -eq 0 ]; then
	echo "usage: scripts/busy.sh command [argument…]" >&2
	exit 2
fi

# Each job ends with this script, or by itself when the script was killed.
spin() {
	while kill -0 "$1" 2>/dev/null; do
		for ((i = 0; i < 200000; i++)); do :; done
	done
}
spin $$ &
jobs=$!
spin $$ &
jobs="$jobs $!"
trap 'kill $jobs 2>/dev/null || true' EXIT

begin=$SECONDS status=0
"$@" || status=$?
echo "busy: exit status $status after $((SECONDS - begin)) s, beside two other jobs" >&2
exit $status

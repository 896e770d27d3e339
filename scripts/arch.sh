#!/usr/bin/env bash
# Runs the unit tests as programs for other processors: 386, where an int has 32
# bits, and s390x, where the first byte of a number is the highest. The kernel
# runs them itself where it can (386 on amd64), else QEMU does, several times
# slower. Without "full" it is what fits into `make test`. What does not run is
# named below, with the reason, and printed; so is what skips itself.
# FLIGHTPATH_QEMU=1 asks for QEMU in any case.
# usage: scripts/arch.sh [full] 386|s390x…
set -euo pipefail
cd "$(dirname "$0")/.."

full=
if [ "${1-}" = full ]; then
	full=1
	shift
fi
if [ $# -eq 0 ]; then
	echo "usage: scripts/arch.sh [full] 386|s390x…" >&2
	exit 2
fi

# Emulation translates system calls, and not all of them.
emulation=(
	'TestFIPSOnly: starts its own program, which the kernel does not run'
	'TestPathMTUOfConnectedSockets: getsockopt of IP_MTU is not translated'
	'TestPathMTUOfPeersInTurn: getsockopt of IP_MTU is not translated'
	'TestTooLargeForTheFirstLink: getsockopt of IP_MTU is not translated'
)
# Without netlink, whose bytes are not swapped, there is no list of interfaces.
swapped=('TestSockaddr: the list of interfaces is not translated')
# A minute each where AES-GCM is emulated; the full run has them.
slow=(
	'TestMaxDataIsExact: too slow for the short run'
	'TestMaxDataIsExact13: too slow for the short run'
)

# Where lengths, numbers, keys and addresses become bytes.
layouts=(./record)
for package in alert antechamber ccm cookie interval keys message suite ticket timerheap udpsock; do
	layouts+=("./internal/$package")
done
# Handshakes of both versions with all suites, cookies, fragments, tickets.
handshakes='^Test(Suites|Suites13|Versions|Handshake13|Exporter13|PSKIdentities|CookieKeys|CookieProof|AlteredCookies13|DoorAnswersOnce|FragmentedHello|HelloInPieces|Join[A-Z].*|RecordNumbersGoOn|TicketKeysAreShared|TicketsOfAnotherConfig|UnacknowledgedTickets)$'

scratch=$(mktemp -d)
trap 'rm -r "$scratch"' EXIT

native() { # the kernel runs programs for $GOARCH
	case "$GOARCH $(uname -m)" in
	'386 x86_64' | '386 i686' | 's390x s390x') ;;
	*) return 1 ;;
	esac
	[ -z "${FLIGHTPATH_QEMU-}" ] || return 1
	go test -c -o "$scratch/probe" ./internal/interval
	"$scratch/probe" -test.run '^$' >/dev/null 2>&1
}

run() { # run <argument of go test…>
	local skip=''
	if [ ${#without[@]} -gt 0 ]; then
		skip="^($(printf '%s\n' "${without[@]%%:*}" | paste -s -d '|'))\$"
	fi
	if ! go test -v -timeout "$timeout" ${skip:+-skip "$skip"} "${how[@]}" "$@" >"$scratch/log" 2>&1; then
		grep -vE '^ *(=== |--- PASS)' "$scratch/log" >&2
		exit 1
	fi
	grep '^ok' "$scratch/log"
	grep -B 1 '^ *--- SKIP' "$scratch/log" || true
}

export CGO_ENABLED=0 GOOS=linux
for GOARCH; do
	export GOARCH
	begin=$SECONDS
	how=() without=() timeout=${full:+90m}
	timeout=${timeout:-10m}
	if native; then
		echo "arch: $GOARCH, run by the kernel"
	else
		qemu=qemu-${GOARCH/#386/i386}
		version=$("$qemu" --version)
		echo "arch: $GOARCH, run by ${version%%$'\n'*}"
		how=(-exec "$qemu")
		without=("${emulation[@]}")
		if [ "$GOARCH" = s390x ]; then without+=("${swapped[@]}"); fi
		if [ -z "$full" ]; then without+=("${slow[@]}"); fi
		export GODEBUG=asyncpreemptoff=1 # its signals are lost on the way now and then
	fi
	if [ ${#without[@]} -gt 0 ]; then printf 'arch: not run: %s\n' "${without[@]}"; fi
	if [ ${#how[@]} -eq 0 ] && [ -n "$full" ]; then
		run ./record ./internal/... ./dtls
	elif [ ${#how[@]} -eq 0 ]; then
		run ./record ./internal/...
		FLIGHTPATH_SEEDS=${FLIGHTPATH_SEEDS:-200} run -short ./dtls
	elif [ -n "$full" ]; then
		run ./record ./internal/...
		FLIGHTPATH_SEEDS=${FLIGHTPATH_SEEDS:-200} run -short ./dtls
	else
		run "${layouts[@]}"
		run -short -run "$handshakes" ./dtls
	fi
	unset GODEBUG
	echo "arch: $GOARCH passed, $((SECONDS - begin)) s"
done

#!/usr/bin/env bash
# Installs the programs that `make test` needs and does not find, when it runs
# as root on a system with apt-get. Otherwise it names them and fails. Modules
# from npm go to the user's cache, outside the tree.
# usage: scripts/peers.sh [lab], with lab those of `make lab` too
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
need() { # need <package> <command that succeeds when it is there…>
	local package=$1
	shift
	"$@" >/dev/null 2>&1 || missing+=("$package")
}

# recent <Debian package> <version>: browsers of before have no post-quantum
# groups for DTLS.
recent() {
	! command -v dpkg-query || dpkg --compare-versions "$(dpkg-query -W -f '${Version}' "$1")" ge "$2"
}

# Where e2e/interop and e2e/dissect look for it: os.UserCacheDir.
modules=${XDG_CACHE_HOME:-${HOME:?}/.cache}/flightpath-peers/node
have_modules() { [ -d "$modules/node_modules" ] && cmp -s e2e/peers/node/package.json "$modules/package.json"; }

need make command -v make
need gcc command -v gcc                              # the race detector links with it
need libc6-dev test -e /usr/include/stdlib.h         # and with this
need openssl command -v openssl
need gnutls-bin eval 'command -v gnutls-cli && command -v gnutls-serv'
if [ "${1-}" = lab ]; then need nftables command -v nft; fi
need chromium eval 'command -v chromium && recent chromium 156' # e2e/browser
need firefox-esr eval 'command -v firefox-esr && recent firefox-esr 153' # its NSS for e2e/interop, too
need iproute2 eval 'command -v ip || test -x /usr/sbin/ip'
need qemu-user eval 'command -v qemu-s390x && command -v qemu-i386' # scripts/arch.sh
need libnss3-dev test -e /usr/include/nss/ssl.h
need libnspr4-dev test -e /usr/include/nspr/private/pprio.h
need libmbedtls-dev test -e /usr/include/mbedtls/ssl.h
need libwolfssl-dev test -e /usr/include/wolfssl/ssl.h
need libcoap3-bin eval 'command -v coap-client-openssl && command -v coap-server-gnutls'
need erlang-ssl env ERL_CRASH_DUMP=/dev/null erl -noshell -eval 'ok = application:load(ssl), halt(0).'
need default-jre-headless java -m jdk.compiler/com.sun.tools.javac.Main -version # the runtime of Debian has the compiler
need libbctls-java test -e /usr/share/java/bctls.jar
need nodejs command -v node
have_modules || need npm command -v npm

if [ ${#missing[@]} -gt 0 ]; then
	if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
		echo "peers: missing: ${missing[*]}. Install these Debian packages, or what has them on your system." >&2
		exit 1
	fi
	echo "peers: installing ${missing[*]}"
	export DEBIAN_FRONTEND=noninteractive
	mkdir -p /usr/share/man/man1 # images without manual pages have none, and Java's packages fail
	# The lists may be absent or old, and name what is gone or has been replaced.
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

if ! have_modules; then
	echo "peers: installing modules from npm into $modules"
	mkdir -p "$modules"
	cp e2e/peers/node/package.json "$modules/"
	(cd "$modules" && npm install --ignore-scripts --no-audit --no-fund --no-package-lock --loglevel=error) ||
		{ rm "$modules/package.json" && exit 1; }
fi

echo "peers: $(openssl version | cut -d ' ' -f 1-2), $(gnutls-cli --version | sed -n 1p), Node $(node --version)"

#!/usr/bin/env bash
# Installs the programs that `make test` needs and does not find, when it runs
# as root on a system with apt-get. Otherwise it names them and fails.
set -euo pipefail

missing=()
need() { # need <package> <command that succeeds when it is there…>
	local package=$1
	shift
	"$@" >/dev/null 2>&1 || missing+=("$package")
}

need make command -v make
need gcc command -v gcc                              # the race detector links with it
need libc6-dev test -e /usr/include/stdlib.h         # and with this
need openssl command -v openssl
need gnutls-bin eval 'command -v gnutls-cli && command -v gnutls-serv'
need libmbedtls-dev test -e /usr/include/mbedtls/ssl.h
need libwolfssl-dev test -e /usr/include/wolfssl/ssl.h
need libcoap3-bin eval 'command -v coap-client-openssl && command -v coap-server-gnutls'

if [ ${#missing[@]} -eq 0 ]; then
	echo "peers: $(openssl version | cut -d ' ' -f 1-2), $(gnutls-cli --version | sed -n 1p)"
	exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
	echo "peers: missing: ${missing[*]}. Install these Debian packages, or what has them on your system." >&2
	exit 1
fi

echo "peers: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
install() { apt-get install -y -qq --no-install-recommends "${missing[@]}"; }
# Package lists may be absent or too old to name files that still exist.
install >/dev/null 2>&1 || { apt-get update -qq && install; }

/* A DTLS 1.2 endpoint on wolfSSL 5.5; peer.h says how it is used. In identities
 * and hints the library stops at a zero byte.
 *
 * cc wolfssl.c -lwolfssl
 */
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>

#include "peer.h"

#include <fcntl.h>

static WOLFSSL *ssl;
static int fd;

/* ok ends the program if a call has failed. */
static void ok(const char *call, int r)
{
	char text[WOLFSSL_MAX_ERROR_SZ];
	if (r != WOLFSSL_SUCCESS)
		fail("%s: %d %s", call, r, wolfSSL_ERR_error_string((unsigned long)(ssl ? wolfSSL_get_error(ssl, r) : r), text));
}
#define OK(call) ok(#call, call)

static unsigned int copy_psk(unsigned char *to, unsigned int most)
{
	struct bytes key = unhex("psk");
	if (key.n > most)
		return 0;
	memcpy(to, key.p, key.n);
	return (unsigned)key.n;
}

static unsigned int client_psk(WOLFSSL *s, const char *hint, char *identity, unsigned int most, unsigned char *key, unsigned int key_most)
{
	struct bytes own = unhex("identity");
	(void)s;
	say_hex("hint", (const unsigned char *)hint, strlen(hint));
	if (own.n > most)
		return 0;
	memcpy(identity, own.p, own.n + 1);
	return copy_psk(key, key_most);
}

static unsigned int server_psk(WOLFSSL *s, const char *identity, unsigned char *key, unsigned int most)
{
	struct bytes known = unhex("identity");
	(void)s;
	say_hex("identity", (const unsigned char *)identity, strlen(identity));
	return strcmp(identity, (const char *)known.p) ? 0 : copy_psk(key, most);
}

static void credentials(WOLFSSL_CTX *ctx)
{
	wolfSSL_CTX_set_verify(ctx, WOLFSSL_VERIFY_NONE, NULL);
	if (option("cert")) {
		OK(wolfSSL_CTX_use_certificate_chain_file(ctx, option("cert")));
		OK(wolfSSL_CTX_use_PrivateKey_file(ctx, required("key"), WOLFSSL_FILETYPE_PEM));
	}
	if (option("ca")) {
		OK(wolfSSL_CTX_load_verify_locations(ctx, option("ca"), NULL));
		wolfSSL_CTX_set_verify(ctx, WOLFSSL_VERIFY_PEER | WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	}
	if (option("psk")) {
		wolfSSL_CTX_set_psk_client_callback(ctx, client_psk);
		wolfSSL_CTX_set_psk_server_callback(ctx, server_psk);
	}
	if (option("hint"))
		OK(wolfSSL_CTX_use_psk_identity_hint(ctx, (const char *)unhex("hint").p));
}

/* open_socket connects to the server, or to the client whose first datagram
 * comes; that one stays for the library to read. */
static void open_socket(int server)
{
	struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(required("port")))};
	socklen_t n = sizeof peer;
	char byte;

	peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if ((fd = socket(AF_INET, SOCK_DGRAM, 0)) < 0)
		fail("socket");
	if (server) {
		if (bind(fd, (struct sockaddr *)&peer, n))
			fail("bind");
		if (recvfrom(fd, &byte, 1, MSG_PEEK, (struct sockaddr *)&peer, &n) < 0)
			fail("recvfrom");
	}
	if (connect(fd, (struct sockaddr *)&peer, n))
		fail("connect");
	OK(wolfSSL_dtls_set_peer(ssl, &peer, n));
	OK(wolfSSL_set_fd(ssl, fd));
	if (fcntl(fd, F_SETFL, O_NONBLOCK))
		fail("fcntl");
	wolfSSL_dtls_set_using_nonblock(ssl, 1);
}

static void shake(int server)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	for (;;) {
		int r = server ? wolfSSL_accept(ssl) : wolfSSL_connect(ssl);
		if (r == WOLFSSL_SUCCESS)
			return;
		if (wolfSSL_get_error(ssl, r) != WOLFSSL_ERROR_WANT_READ)
			ok("handshake", r);
		if (poll(&p, 1, wolfSSL_dtls_get_current_timeout(ssl) * 1000) == 0)
			OK(wolfSSL_dtls_got_timeout(ssl));
	}
}

static void receive(void)
{
	unsigned char data[2048];
	int r;
	while ((r = wolfSSL_read(ssl, data, sizeof data)) > 0)
		heard(data, (size_t)r);
	if (wolfSSL_get_error(ssl, r) != WOLFSSL_ERROR_WANT_READ)
		ok("wolfSSL_read", r);
}

static void transmit(const unsigned char *line, size_t n)
{
	int r = wolfSSL_write(ssl, line, (int)n);
	if (r != (int)n)
		ok("wolfSSL_write", r);
}

int main(int argc, char **argv)
{
	int server = is_server(argc, argv);
	WOLFSSL_CTX *ctx;
	char *protocol;
	unsigned short n;

	wolfSSL_Init();
	ctx = wolfSSL_CTX_new(server ? wolfDTLSv1_2_server_method() : wolfDTLSv1_2_client_method());
	if (!ctx)
		fail("wolfSSL_CTX_new");
	OK(wolfSSL_CTX_set_cipher_list(ctx, required("suite")));
	credentials(ctx);
	if (!(ssl = wolfSSL_new(ctx)))
		fail("wolfSSL_new");
	/* It offers X25519, too, which its ECDHE_PSK then fails with. */
	if (option("psk"))
		OK(wolfSSL_UseSupportedCurve(ssl, WOLFSSL_ECC_SECP256R1));
	if (option("alpn"))
		OK(wolfSSL_UseALPN(ssl, (char *)option("alpn"), (unsigned)strlen(option("alpn")), WOLFSSL_ALPN_FAILED_ON_MISMATCH));
	if (option("name"))
		OK(wolfSSL_check_domain_name(ssl, option("name")));
	open_socket(server);
	shake(server);
	fprintf(stderr, "established %s %04x\n", wolfSSL_get_version(ssl), (unsigned)wolfSSL_get_current_cipher_suite(ssl));
	if (wolfSSL_ALPN_GetProtocol(ssl, &protocol, &n) == WOLFSSL_SUCCESS)
		fprintf(stderr, "alpn %.*s\n", (int)n, protocol);
	loop(fd, receive, transmit);
}

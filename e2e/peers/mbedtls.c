/* A DTLS 1.2 endpoint on Mbed TLS 2.28; peer.h says how it is used. A server
 * has more options: cookie=true or false, whether it asks for one, and
 * tickets=true, with which it gives tickets and serves one association after
 * the other. A client has session=FILE: it resumes the session in that file, if
 * there is one, and leaves its own there. What the library says about that is
 * printed:
 *
 *   a session has been resumed    or: no session has been resumed
 *
 * cc mbedtls.c -lmbedtls -lmbedx509 -lmbedcrypto
 */
#include "peer.h"

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/debug.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_cookie.h>
#include <mbedtls/ssl_ticket.h>
#include <mbedtls/timing.h>

static mbedtls_ssl_context ssl;
static mbedtls_net_context listener, net;

/* check ends the program if a call has failed. */
static int check(const char *call, int r)
{
	char text[200];
	if (r < 0) {
		mbedtls_strerror(r, text, sizeof text);
		fail("%s: -0x%04x %s", call, (unsigned)-r, text);
	}
	return r;
}
#define CHECK(call) check(#call, call)

static int find_psk(void *unused, mbedtls_ssl_context *s, const unsigned char *identity, size_t n)
{
	struct bytes known = unhex("identity"), key = unhex("psk");
	(void)unused;
	say_hex("identity", identity, n);
	if (n != known.n || memcmp(identity, known.p, n))
		return -1; /* ends the handshake with unknown_psk_identity */
	return mbedtls_ssl_set_hs_psk(s, key.p, key.n);
}

static void credentials(mbedtls_ssl_config *conf, int server)
{
	static mbedtls_x509_crt chain, root;
	static mbedtls_pk_context key;
	struct bytes psk = unhex("psk"), identity = unhex("identity");

	mbedtls_x509_crt_init(&chain);
	mbedtls_x509_crt_init(&root);
	mbedtls_pk_init(&key);
	if (option("cert")) {
		CHECK(mbedtls_x509_crt_parse_file(&chain, option("cert")));
		CHECK(mbedtls_pk_parse_keyfile(&key, required("key"), NULL));
		CHECK(mbedtls_ssl_conf_own_cert(conf, &chain, &key));
	}
	mbedtls_ssl_conf_authmode(conf, MBEDTLS_SSL_VERIFY_NONE);
	if (option("ca")) {
		CHECK(mbedtls_x509_crt_parse_file(&root, option("ca")));
		mbedtls_ssl_conf_ca_chain(conf, &root, NULL);
		mbedtls_ssl_conf_authmode(conf, MBEDTLS_SSL_VERIFY_REQUIRED);
	}
	if (psk.n && server)
		mbedtls_ssl_conf_psk_cb(conf, find_psk, NULL);
	else if (psk.n)
		CHECK(mbedtls_ssl_conf_psk(conf, psk.p, psk.n, identity.p, identity.n));
}

/* shake completes the handshake. A server answers the first hello with a
 * cookie, forgets it, and begins anew with the next datagram; as it does after
 * a hello that it cannot read, such as one in fragments. */
static void shake(int server)
{
	unsigned char address[16];
	size_t n;
	int r;
again:
	if (server) {
		mbedtls_net_free(&net);
		CHECK(mbedtls_ssl_session_reset(&ssl));
		CHECK(mbedtls_net_accept(&listener, &net, address, sizeof address, &n));
		CHECK(mbedtls_ssl_set_client_transport_id(&ssl, address, n));
	}
	mbedtls_ssl_set_bio(&ssl, &net, mbedtls_net_send, NULL, mbedtls_net_recv_timeout);
	do
		r = mbedtls_ssl_handshake(&ssl);
	while (r == MBEDTLS_ERR_SSL_WANT_READ || r == MBEDTLS_ERR_SSL_WANT_WRITE);
	if (r == MBEDTLS_ERR_SSL_HELLO_VERIFY_REQUIRED || r == MBEDTLS_ERR_SSL_BAD_HS_CLIENT_HELLO)
		goto again;
	check("mbedtls_ssl_handshake", r);
}

/* debugged is told all that the library does. */
static void debugged(void *unused, int level, const char *file, int line, const char *text)
{
	(void)unused, (void)level, (void)file, (void)line;
	if (strstr(text, "session has been resumed"))
		fputs(text, stderr);
}

/* load begins with the session in the file of an option, if there is one. */
static void load(void)
{
	unsigned char data[8192];
	mbedtls_ssl_session session;
	FILE *f = fopen(option("session"), "rb");
	if (!f)
		return;
	mbedtls_ssl_session_init(&session);
	CHECK(mbedtls_ssl_session_load(&session, data, fread(data, 1, sizeof data, f)));
	CHECK(mbedtls_ssl_set_session(&ssl, &session));
	mbedtls_ssl_session_free(&session);
	fclose(f);
}

/* save leaves the session in that file. */
static void save(void)
{
	unsigned char data[8192];
	size_t n;
	mbedtls_ssl_session session;
	FILE *f = fopen(option("session"), "wb");
	mbedtls_ssl_session_init(&session);
	CHECK(mbedtls_ssl_get_session(&ssl, &session));
	CHECK(mbedtls_ssl_session_save(&session, data, sizeof data, &n));
	if (!f || fwrite(data, 1, n, f) != n || fclose(f))
		fail("writing %s", option("session"));
	mbedtls_ssl_session_free(&session);
}

static void associate(int server);

static void receive(void)
{
	unsigned char data[2048];
	int r;
	while ((r = mbedtls_ssl_read(&ssl, data, sizeof data)) > 0)
		heard(data, (size_t)r);
	if (r == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY && option("tickets"))
		associate(1);
	if (r != MBEDTLS_ERR_SSL_WANT_READ && r != MBEDTLS_ERR_SSL_WANT_WRITE)
		check("mbedtls_ssl_read", r ? r : MBEDTLS_ERR_SSL_CONN_EOF);
}

static void transmit(const unsigned char *line, size_t n) { CHECK(mbedtls_ssl_write(&ssl, line, n)); }

/* associate does not return. */
static void associate(int server)
{
	shake(server);
	if (option("session"))
		save();
	fprintf(stderr, "established %s %04x\n", mbedtls_ssl_get_version(&ssl),
	        (unsigned)mbedtls_ssl_get_ciphersuite_id(mbedtls_ssl_get_ciphersuite(&ssl)));
	if (mbedtls_ssl_get_alpn_protocol(&ssl))
		fprintf(stderr, "alpn %s\n", mbedtls_ssl_get_alpn_protocol(&ssl));

	CHECK(mbedtls_net_set_nonblock(&net));
	mbedtls_ssl_set_bio(&ssl, &net, mbedtls_net_send, mbedtls_net_recv, NULL);
	loop(net.fd, receive, transmit);
}

int main(int argc, char **argv)
{
	int server = is_server(argc, argv);
	const char *protocols[2] = {option("alpn"), NULL};
	int suites[2] = {(int)strtol(required("suite"), NULL, 16), 0};
	mbedtls_ssl_config conf;
	mbedtls_entropy_context entropy;
	mbedtls_ctr_drbg_context random;
	mbedtls_ssl_cookie_ctx cookies;
	mbedtls_ssl_ticket_context tickets;
	static mbedtls_timing_delay_context timer;

	mbedtls_entropy_init(&entropy);
	mbedtls_ctr_drbg_init(&random);
	CHECK(mbedtls_ctr_drbg_seed(&random, mbedtls_entropy_func, &entropy, NULL, 0));

	mbedtls_ssl_config_init(&conf);
	CHECK(mbedtls_ssl_config_defaults(&conf, server ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT,
	                                  MBEDTLS_SSL_TRANSPORT_DATAGRAM, MBEDTLS_SSL_PRESET_DEFAULT));
	mbedtls_ssl_conf_rng(&conf, mbedtls_ctr_drbg_random, &random);
	mbedtls_ssl_conf_ciphersuites(&conf, suites);
	credentials(&conf, server);
	if (option("alpn"))
		CHECK(mbedtls_ssl_conf_alpn_protocols(&conf, protocols));
	mbedtls_ssl_cookie_init(&cookies);
	if (server && !strcmp(required("cookie"), "false")) {
		mbedtls_ssl_conf_dtls_cookies(&conf, NULL, NULL, NULL);
	} else if (server) {
		CHECK(mbedtls_ssl_cookie_setup(&cookies, mbedtls_ctr_drbg_random, &random));
		mbedtls_ssl_conf_dtls_cookies(&conf, mbedtls_ssl_cookie_write, mbedtls_ssl_cookie_check, &cookies);
	}

	mbedtls_ssl_ticket_init(&tickets);
	if (option("tickets")) {
		CHECK(mbedtls_ssl_ticket_setup(&tickets, mbedtls_ctr_drbg_random, &random, MBEDTLS_CIPHER_AES_256_GCM, 86400));
		mbedtls_ssl_conf_session_tickets_cb(&conf, mbedtls_ssl_ticket_write, mbedtls_ssl_ticket_parse, &tickets);
	}
	mbedtls_debug_set_threshold(3);
	mbedtls_ssl_conf_dbg(&conf, debugged, NULL);

	mbedtls_ssl_init(&ssl);
	CHECK(mbedtls_ssl_setup(&ssl, &conf));
	if (option("name"))
		CHECK(mbedtls_ssl_set_hostname(&ssl, option("name")));
	mbedtls_ssl_set_mtu(&ssl, (uint16_t)atoi(required("mtu")));
	mbedtls_ssl_set_timer_cb(&ssl, &timer, mbedtls_timing_set_delay, mbedtls_timing_get_delay);

	mbedtls_net_init(&listener);
	mbedtls_net_init(&net);
	if (server)
		CHECK(mbedtls_net_bind(&listener, "127.0.0.1", required("port"), MBEDTLS_NET_PROTO_UDP));
	else
		CHECK(mbedtls_net_connect(&net, "127.0.0.1", required("port"), MBEDTLS_NET_PROTO_UDP));
	if (option("session"))
		load();
	associate(server);
}

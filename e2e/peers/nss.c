/* A DTLS 1.2 and 1.3 endpoint on NSS, the library of Firefox, whose directory it
 * is linked with.
 *
 *   nss server|client [port=N] [min=VERSION max=VERSION] [suites=LIST]
 *       [groups=LIST] [shares=N] [cert=FILE key=FILE] [ca=FILE] [name=HOST]
 *       [alpn=NAME]
 *
 * port is that of a client's server; a server takes a free one. Versions are
 * those of TLS, 303 or 304; lists are hex numbers of the IANA with commas between
 * them; shares is how many key shares a client's hello has. cert and key are its
 * own chain, ca is the root that the other side's must lead to and name the host
 * in it; a server with ca demands a chain. peer.h says the rest, but that more
 * than one association can be had, one after the other.
 *
 * Lines of standard input are sent, but for these:
 *
 *   /update       change our keys (RFC 9147, Section 8)
 *   /update-both  and ask the peer to change its own
 *   /close        end the association
 *   /again        end it if it has not ended, and begin another one
 *
 * Standard error says what happens:
 *
 *   waiting N PORT            a server for its client, the Nth
 *   verified                  the peer's chain
 *   established VERSION SUITE the handshake is complete
 *   group GROUP               its key exchange
 *   resumed, alpn NAME        if so
 *   exporter HEX              32 bytes for the label below
 *   epochs READ WRITE         the newest ones of DTLS 1.3, when they change
 *   closed                    by the peer
 *   failed WHY                the end, with exit code 1
 *
 * The headers of an older NSS will do: what they lack is named by its number.
 */
#include "peer.h"

#include <nspr.h>
#include <private/pprio.h>

#include <cert.h>
#include <certdb.h>
#include <keyhi.h>
#include <nss.h>
#include <nssb64.h>
#include <pk11pub.h>
#include <ssl.h>
#include <sslexp.h>
#include <sslproto.h>

#define EXPORTER "EXPORTER-flightpath-interop"

enum { HANDSHAKE = 22, MAX_CHAIN = 8, MAX_LIST = 16, MAX_RECORD = 1 << 14, MAX_LINE = 1024 };

static int server;

static CERTCertificate *chain[MAX_CHAIN]; /* our own, the leaf first */
static int chain_length;
static SECKEYPrivateKey *private_key;

static PRFileDesc *association; /* NULL between two */
static int association_fd;
static PRUint16 read_epoch, write_epoch;

/* check ends the program if a call of NSS has failed. */
static void check(const char *call, int ok)
{
	if (!ok)
		fail("%s: %s", call, PR_ErrorToName(PR_GetError()));
}
#define CHECK(call) check(#call, (call) == SECSuccess)

/* hex_list reads an option into list, and returns how many there are. */
static unsigned hex_list(const char *name, unsigned list[MAX_LIST])
{
	unsigned n = 0;
	const char *p = option(name);
	while (p && *p) {
		char *end;
		if (n == MAX_LIST)
			fail("%s= is too long", name);
		list[n++] = (unsigned)strtoul(p, &end, 16);
		if (end == p)
			fail("%s= is not hex", name);
		p = *end == ',' ? end + 1 : end;
	}
	return n;
}

/* next_pem decodes the next block of a PEM file and moves text behind it. It
 * returns 0 at the end. */
static int next_pem(char **text, SECItem *der)
{
	char *begin = strstr(*text, "-----BEGIN "), *end;
	if (!begin)
		return 0;
	begin = strchr(begin, '\n');
	end = begin ? strstr(begin, "-----END ") : NULL;
	if (!end)
		fail("PEM without an end");
	memset(der, 0, sizeof *der);
	check("NSSBase64_DecodeBuffer", NSSBase64_DecodeBuffer(NULL, der, begin, (unsigned)(end - begin)) != NULL);
	*text = end + 1;
	return 1;
}

static char *read_file(const char *path)
{
	static char text[1 << 17];
	FILE *f = fopen(path, "r");
	if (!f)
		fail("no file %s", path);
	text[fread(text, 1, sizeof text - 1, f)] = 0;
	fclose(f);
	return text;
}

static CERTCertificate *import(SECItem *der)
{
	CERTCertificate *c = CERT_NewTempCertificate(CERT_GetDefaultCertDB(), der, NULL, PR_FALSE, PR_TRUE);
	check("CERT_NewTempCertificate", c != NULL);
	return c;
}

static void load_credentials(void)
{
	SECItem der;
	char *text;

	if (option("cert")) {
		for (text = read_file(option("cert")); chain_length < MAX_CHAIN && next_pem(&text, &der);)
			chain[chain_length++] = import(&der);
		text = read_file(required("key"));
		if (!next_pem(&text, &der))
			fail("no key");
		CHECK(PK11_ImportDERPrivateKeyInfoAndReturnKey(PK11_GetInternalKeySlot(), &der, NULL, NULL, PR_FALSE,
			PR_FALSE, KU_ALL, &private_key, NULL));
	}
	if (option("ca")) {
		CERTCertTrust trust = {CERTDB_VALID_CA | CERTDB_TRUSTED_CA | CERTDB_TRUSTED_CLIENT_CA, 0, 0};
		text = read_file(option("ca"));
		if (!next_pem(&text, &der))
			fail("no root");
		CHECK(CERT_ChangeCertTrust(CERT_GetDefaultCertDB(), import(&der), &trust));
	}
}

/* verify is the check of NSS for chains and names, told aloud. */
static SECStatus verify(void *db, PRFileDesc *s, PRBool check_signature, PRBool by_server)
{
	SECStatus r = SSL_AuthCertificate(db, s, check_signature, by_server);
	if (r == SECSuccess)
		fputs("verified\n", stderr);
	return r;
}

static SECStatus client_certificate(void *unused, PRFileDesc *s, CERTDistNames *roots, CERTCertificate **leaf,
	SECKEYPrivateKey **key)
{
	(void)unused, (void)s, (void)roots;
	if (!chain_length)
		return SECFailure; /* go on without one */
	*leaf = CERT_DupCertificate(chain[0]);
	*key = SECKEY_CopyPrivateKey(private_key);
	return SECSuccess;
}

/* tell_epochs says so when keys have changed. */
static void tell_epochs(void)
{
	PRUint16 r, w;
	if (!association || SSL_GetCurrentEpoch(association, &r, &w) != SECSuccess)
		return;
	if (r == read_epoch && w == write_epoch)
		return;
	read_epoch = r, write_epoch = w;
	fprintf(stderr, "epochs %u %u\n", r, w);
}

static void established(PRFileDesc *s, void *unused)
{
	SSLChannelInfo info;
	SSLNextProtoState state;
	unsigned char text[256];
	unsigned n;

	(void)unused;
	CHECK(SSL_GetChannelInfo(s, &info, sizeof info));
	fprintf(stderr, "established %s %04x\n",
		info.protocolVersion == SSL_LIBRARY_VERSION_DTLS_1_3 ? "DTLSv1.3" : "DTLSv1.2", info.cipherSuite);
	fprintf(stderr, "group %04x\n", info.keaGroup);
	if (info.resumed)
		fputs("resumed\n", stderr);
	CHECK(SSL_GetNextProto(s, &state, text, &n, sizeof text));
	if (state == SSL_NEXT_PROTO_NEGOTIATED || state == SSL_NEXT_PROTO_SELECTED)
		fprintf(stderr, "alpn %.*s\n", (int)n, text);
	/* It fails for the suites of DTLS 1.2 with SHA-384. */
	if (SSL_ExportKeyingMaterial(s, EXPORTER, strlen(EXPORTER), PR_FALSE, NULL, 0, text, 32) == SECSuccess)
		say_hex("exporter", text, 32);
}

static void configure_chain(PRFileDesc *s)
{
	SSLExtraServerCertData extra = {0};
	CERTCertificateList list;
	SECItem items[MAX_CHAIN];

	for (int i = 0; i < chain_length; i++)
		items[i] = chain[i]->derCert;
	list.certs = items, list.len = chain_length, list.arena = NULL;
	extra.certChain = &list;
	CHECK(SSL_ConfigServerCert(s, chain[0], private_key, &extra, sizeof extra));
}

static void configure(PRFileDesc *s)
{
	SSLVersionRange range = {
		(PRUint16)strtol(option("min") ? option("min") : "303", NULL, 16),
		(PRUint16)strtol(option("max") ? option("max") : "304", NULL, 16),
	};
	unsigned list[MAX_LIST], n = hex_list("suites", list);
	SSLNamedGroup groups[MAX_LIST];

	CHECK(SSL_VersionRangeSet(s, &range));
	CHECK(SSL_OptionSet(s, SSL_ENABLE_SESSION_TICKETS, PR_TRUE));
	CHECK(SSL_OptionSet(s, SSL_ENABLE_EXTENDED_MASTER_SECRET, PR_TRUE));
	for (int i = 0; n && i < SSL_NumImplementedCiphers; i++)
		CHECK(SSL_CipherPrefSet(s, SSL_ImplementedCiphers[i], PR_FALSE));
	for (unsigned i = 0; i < n; i++)
		CHECK(SSL_CipherPrefSet(s, (int)list[i], PR_TRUE));
	if ((n = hex_list("groups", list))) {
		for (unsigned i = 0; i < n; i++)
			groups[i] = (SSLNamedGroup)list[i];
		CHECK(SSL_NamedGroupConfig(s, groups, n));
	}
	if (option("shares"))
		CHECK(SSL_SendAdditionalKeyShares(s, (unsigned)atoi(option("shares")) - 1));
	if (option("alpn")) {
		unsigned char name[256];
		name[0] = (unsigned char)strlen(option("alpn"));
		memcpy(name + 1, option("alpn"), name[0]);
		CHECK(SSL_SetNextProtoNego(s, name, name[0] + 1u));
	}
	CHECK(SSL_AuthCertificateHook(s, verify, CERT_GetDefaultCertDB()));
	CHECK(SSL_HandshakeCallback(s, established, NULL));
	if (server) {
		configure_chain(s);
		CHECK(SSL_OptionSet(s, SSL_REQUEST_CERTIFICATE, option("ca") != NULL));
		CHECK(SSL_OptionSet(s, SSL_REQUIRE_CERTIFICATE, option("ca") ? SSL_REQUIRE_ALWAYS : SSL_REQUIRE_NEVER));
	} else {
		CHECK(SSL_SetURL(s, required("name")));
		CHECK(SSL_GetClientAuthDataHook(s, client_certificate, NULL));
	}
	CHECK(SSL_ResetHandshake(s, server));
}

/* connect_socket returns a socket that is connected to the peer, which a server
 * learns from the first datagram. That one stays to be read. */
static int connect_socket(void)
{
	static struct sockaddr_in own = {.sin_family = AF_INET}; /* a server's, the same each time */
	static int nth;
	struct sockaddr_in peer = own;
	socklen_t n = sizeof peer;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	unsigned char first;

	own.sin_addr.s_addr = peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (server) {
		if (bind(fd, (struct sockaddr *)&own, n) || getsockname(fd, (struct sockaddr *)&own, &n))
			fail("bind");
		fprintf(stderr, "waiting %d %d\n", ++nth, ntohs(own.sin_port));
		for (;;) {
			if (recvfrom(fd, &first, 1, MSG_PEEK, (struct sockaddr *)&peer, &n) < 0)
				fail("recvfrom");
			if (first == HANDSHAKE)
				break;
			recv(fd, &first, 1, 0); /* a late word to the association before */
		}
	} else {
		peer.sin_port = htons((in_port_t)atoi(required("port")));
	}
	if (connect(fd, (struct sockaddr *)&peer, n))
		fail("connect");
	return fd;
}

static void begin(void)
{
	PRSocketOptionData never_wait = {PR_SockOpt_Nonblocking, {PR_TRUE}};
	PRFileDesc *socket;

	association_fd = connect_socket();
	socket = PR_ImportUDPSocket(association_fd);
	check("PR_SetSocketOption", PR_SetSocketOption(socket, &never_wait) == PR_SUCCESS);
	association = DTLS_ImportFD(NULL, socket);
	check("DTLS_ImportFD", association != NULL);
	read_epoch = write_epoch = 0;
	configure(association);
}

static void end(void)
{
	if (association)
		PR_Close(association); /* with a close_notify */
	association = NULL;
}

/* receive takes all that is there. A call without input is how NSS looks at its
 * timers. */
static void receive(void)
{
	unsigned char data[MAX_RECORD];
	while (association) {
		PRInt32 n = PR_Recv(association, data, sizeof data, 0, PR_INTERVAL_NO_WAIT);
		if (n < 0 && PR_GetError() == PR_WOULD_BLOCK_ERROR)
			break;
		check("PR_Recv", n >= 0);
		if (n == 0) {
			fputs("closed\n", stderr);
			end();
			return;
		}
		heard(data, (size_t)n);
	}
	tell_epochs();
}

static void obey(const char *line)
{
	if (!strcmp(line, "/again")) {
		end();
		begin();
		return;
	}
	if (!association)
		fail("no association for: %s", line);
	if (!strcmp(line, "/close"))
		end();
	else if (!strcmp(line, "/update"))
		CHECK(SSL_KeyUpdate(association, PR_FALSE));
	else if (!strcmp(line, "/update-both"))
		CHECK(SSL_KeyUpdate(association, PR_TRUE));
	else
		check("PR_Send", PR_Send(association, line, (PRInt32)strlen(line), 0, PR_INTERVAL_NO_WAIT) >= 0);
}

/* read_lines obeys what has come on standard input. */
static void read_lines(void)
{
	static char text[MAX_LINE];
	static size_t used;
	char *newline;
	ssize_t n = read(STDIN_FILENO, text + used, sizeof text - 1 - used);

	if (n <= 0)
		exit(0);
	used += (size_t)n;
	text[used] = 0;
	while ((newline = strchr(text, '\n'))) {
		*newline++ = 0;
		obey(text);
		used -= (size_t)(newline - text);
		memmove(text, newline, used + 1);
	}
}

/* milliseconds until NSS wants to look at its timers, -1 if it does not. */
static int next_timeout(void)
{
	PRIntervalTime left;
	if (!association || DTLS_GetHandshakeTimeout(association, &left) != SECSuccess)
		return -1;
	return (int)PR_IntervalToMilliseconds(left) + 1; /* rounded up */
}

int main(int argc, char **argv)
{
	server = is_server(argc, argv);
	fprintf(stderr, "NSS %s\n", NSS_GetVersion());
	CHECK(NSS_NoDB_Init(NULL));
	CHECK(NSS_SetDomesticPolicy());
	load_credentials();
	if (server)
		CHECK(SSL_ConfigServerSessionIDCache(0, 0, 0, NULL)); /* for tickets too */
	begin();
	for (;;) {
		struct pollfd p[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.events = POLLIN}};
		receive(); /* which begins the handshake, too */
		p[1].fd = association ? association_fd : -1;
		if (poll(p, 2, next_timeout()) < 0)
			fail("poll");
		if (p[0].revents)
			read_lines();
	}
}

/* What the C programs in this directory share.
 *
 *   PROGRAM server|client port=N suite=SUITE mtu=N
 *           [cert=FILE key=FILE] [ca=FILE] [name=HOST]
 *           [psk=HEX identity=HEX] [hint=HEX] [alpn=NAME]
 *
 * Each runs one association on 127.0.0.1: a certificate chain of its own (cert,
 * key), a root that the other side's chain must lead to (ca), the name in it
 * (name), or a pre-shared key with its identity. Lines of standard input are
 * sent, what is received is printed. Standard error says what happens:
 *
 *   established VERSION SUITE the handshake is complete
 *   alpn NAME                 with this protocol
 *   identity HEX              a server was asked for this key
 *   hint HEX                  a client was told this, perhaps nothing
 *   failed WHY                the end, with exit code 1
 */
#ifndef PEER_H
#define PEER_H

#include <arpa/inet.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int peer_argc;
static char **peer_argv;

static void fail(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fputs("failed ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

/* option returns the value of name=value, NULL if it is not there. */
static const char *option(const char *name)
{
	size_t n = strlen(name);
	for (int i = 2; i < peer_argc; i++)
		if (!strncmp(peer_argv[i], name, n) && peer_argv[i][n] == '=')
			return peer_argv[i] + n + 1;
	return NULL;
}

static const char *required(const char *name)
{
	const char *value = option(name);
	if (!value)
		fail("%s= is missing", name);
	return value;
}

struct bytes {
	unsigned char p[256];
	size_t n;
};

/* unhex decodes an option, a missing one to no bytes. */
static struct bytes unhex(const char *name)
{
	struct bytes b = {{0}, 0};
	const char *hex = option(name);
	for (; hex && *hex; hex += 2) {
		unsigned byte;
		if (b.n == sizeof b.p - 1 || sscanf(hex, "%2x", &byte) != 1)
			fail("%s= is not hex, or too long", name);
		b.p[b.n++] = (unsigned char)byte;
	}
	return b; /* with a zero byte behind it */
}

static void say_hex(const char *what, const unsigned char *p, size_t n)
{
	fputs(what, stderr);
	fputc(' ', stderr);
	for (size_t i = 0; i < n; i++)
		fprintf(stderr, "%02x", p[i]);
	fputc('\n', stderr);
}

/* heard prints application data. */
static void heard(const unsigned char *p, size_t n)
{
	fwrite(p, 1, n, stdout);
	fputc('\n', stdout);
	fflush(stdout);
}

/* loop serves standard input and the socket: receive is called when there is
 * something on the socket, and must not block; transmit sends a line. */
static void loop(int fd, void (*receive)(void), void (*transmit)(const unsigned char *, size_t))
{
	struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
	for (;;) {
		if (poll(p, 2, -1) < 0)
			fail("poll");
		if (p[0].revents)
			receive();
		if (p[1].revents) {
			unsigned char line[1024];
			ssize_t n = read(STDIN_FILENO, line, sizeof line);
			if (n <= 0)
				exit(0);
			transmit(line, (size_t)n);
		}
	}
}

static int is_server(int argc, char **argv)
{
	peer_argc = argc, peer_argv = argv;
	if (argc < 2 || (strcmp(argv[1], "server") && strcmp(argv[1], "client")))
		fail("usage: server|client name=value…");
	return argv[1][0] == 's';
}

#endif

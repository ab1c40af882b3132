/* SPDX-License-Identifier: Apache-2.0 */
/*
 * null_server.c - the least that an SMTP server can do, as the limit beside barid's figures.
 *
 *     bench_null PORT FILE CERTIFICATE KEY
 *
 * Every command is answered without a look at it. A message is written into FILE, whose blocks are
 * laid out before and used again and again, and synced before its 250, the messages of all
 * connections that wait together by one fdatasync. STARTTLS works. One thread per connection. It
 * prints "ready" and ends when its standard input does. What it reaches is what the machine, the
 * disk, TLS and the load driver leave to any server at all.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MESSAGE_MAX (4u << 20)
#define FILE_SIZE   (64u << 20)

static SSL_CTX *tls;
static int file;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t synced = PTHREAD_COND_INITIALIZER;
static uint64_t written, durable; /* messages in the file, messages a finished sync covers */
static size_t place;		  /* of the next message in the file */
static bool syncing;		  /* one thread syncs for all that wait */

struct link {
	int fd;
	SSL *ssl;
	size_t pos, len;
	char in[65536];
};

/* --- group commit ------------------------------------------------------------------------- */

static void keep(const char *p, size_t n)
{
	(void)pthread_mutex_lock(&mutex);
	size_t at = place + n <= FILE_SIZE ? place : 0;
	place = at + n;
	(void)pthread_mutex_unlock(&mutex);
	if (pwrite(file, p, n, (off_t)at) != (ssize_t)n)
		abort();
	(void)pthread_mutex_lock(&mutex);
	uint64_t mine = ++written;
	while (durable < mine) {
		if (syncing) {
			(void)pthread_cond_wait(&synced, &mutex);
			continue;
		}
		syncing = true;
		uint64_t upto = written;
		(void)pthread_mutex_unlock(&mutex);
		if (fdatasync(file) < 0)
			abort();
		(void)pthread_mutex_lock(&mutex);
		durable = upto;
		syncing = false;
		(void)pthread_cond_broadcast(&synced);
	}
	(void)pthread_mutex_unlock(&mutex);
}

static bool lay_out(const char *path)
{
	static char zeros[1 << 20];
	file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	for (size_t n = 0; file >= 0 && n < FILE_SIZE; n += sizeof zeros)
		if (write(file, zeros, sizeof zeros) != (ssize_t)sizeof zeros)
			return false;
	return file >= 0 && fsync(file) == 0;
}

/* --- bytes in and out --------------------------------------------------------------------- */

static bool say(struct link *l, const char *text)
{
	size_t n = strlen(text);
	return l->ssl ? SSL_write(l->ssl, text, (int)n) == (int)n
		      : send(l->fd, text, n, MSG_NOSIGNAL) == (ssize_t)n;
}

static bool more(struct link *l)
{
	ssize_t n = l->ssl ? SSL_read(l->ssl, l->in, sizeof l->in)
			   : recv(l->fd, l->in, sizeof l->in, 0);
	l->pos = 0;
	l->len = n > 0 ? (size_t)n : 0;
	return n > 0;
}

static bool read_line(struct link *l, char *line, size_t cap)
{
	size_t n = 0;
	for (;;) {
		if (l->pos == l->len && !more(l))
			return false;
		char c = l->in[l->pos++];
		if (c == '\n')
			break;
		if (n + 1 < cap)
			line[n++] = c;
	}
	line[n] = 0;
	return true;
}

static bool read_message(struct link *l, char *into, size_t *n)
{
	*n = 0;
	while (*n < 5 || memcmp(into + *n - 5, "\r\n.\r\n", 5) != 0) {
		if (l->pos == l->len && !more(l))
			return false;
		size_t k = l->len - l->pos;
		if (*n + k > MESSAGE_MAX)
			return false;
		memcpy(into + *n, l->in + l->pos, k);
		*n += k;
		l->pos = l->len;
	}
	return true;
}

/* --- the dialogue ------------------------------------------------------------------------- */

static bool start_tls(struct link *l)
{
	if (!say(l, "220 ready\r\n"))
		return false;
	l->ssl = SSL_new(tls);
	return l->ssl && SSL_set_fd(l->ssl, l->fd) == 1 && SSL_accept(l->ssl) == 1;
}

static bool answer(struct link *l, const char *line, char *message)
{
	size_t n;
	if (strncmp(line, "EHLO", 4) == 0)
		return say(l, "250-null\r\n250 STARTTLS\r\n");
	if (strncmp(line, "STARTTLS", 8) == 0)
		return start_tls(l);
	if (strncmp(line, "DATA", 4) == 0) {
		if (!say(l, "354 go\r\n") || !read_message(l, message, &n))
			return false;
		keep(message, n);
	}
	if (strncmp(line, "QUIT", 4) == 0)
		return say(l, "221 bye\r\n") && false;
	return say(l, "250 ok\r\n");
}

static void *serve(void *arg)
{
	struct link *l = calloc(1, sizeof *l);
	char *message = malloc(MESSAGE_MAX), line[1024];
	if (!l || !message)
		abort();
	l->fd = (int)(intptr_t)arg;
	bool on = say(l, "220 null\r\n");
	while (on && read_line(l, line, sizeof line))
		on = answer(l, line, message);
	SSL_free(l->ssl);
	(void)close(l->fd);
	free(message);
	free(l);
	return NULL;
}

static void *accept_all(void *arg)
{
	int one = 1;
	for (;;) {
		pthread_t thread;
		int fd = accept4((int)(intptr_t)arg, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			continue;
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd) != 0)
			abort();
		(void)pthread_detach(thread);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	if (argc != 5) {
		(void)fputs("usage: bench_null PORT FILE CERTIFICATE KEY\n", stderr);
		return 2;
	}
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10)),
				 .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	(void)signal(SIGPIPE, SIG_IGN);
	tls = SSL_CTX_new(TLS_server_method());
	if (!lay_out(argv[2]) || !tls || SSL_CTX_use_certificate_chain_file(tls, argv[3]) != 1 ||
	    SSL_CTX_use_PrivateKey_file(tls, argv[4], SSL_FILETYPE_PEM) != 1 ||
	    bind(listener, (struct sockaddr *)&at, sizeof at) < 0 || listen(listener, 512) < 0) {
		perror("bench_null");
		return 1;
	}
	pthread_t thread;
	if (pthread_create(&thread, NULL, accept_all, (void *)(intptr_t)listener) != 0)
		return 1;
	(void)puts("ready");
	(void)fflush(stdout);
	while (getchar() != EOF)
		continue;
	return 0;
}

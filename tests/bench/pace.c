/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pace.c - latency at a given rate: messages by SMTP when they are due, whether or not earlier ones
 * were answered, and the time until each is announced to an idling IMAP client of its recipient.
 *
 *     bench_pace SMTP-PORT IMAPS-PORT RATE SECONDS CONNECTIONS USERS SIZE
 *
 * Acceptance is counted from the moment a message was due (so a server that falls behind cannot
 * hide it), visibility from its 250 to "* n EXISTS" in an IDLE of the mailbox. IMAP tells no names
 * there: the n-th new message of a mailbox is taken for the n-th accepted for it. Prints one JSON
 * line.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SETTLE_S 60 /* the last message may take so long to be seen */

static struct {
	unsigned smtp, imap, conns, users;
	double rate, seconds;
	size_t size;
} opt;

struct link {
	int fd;
	SSL *ssl;
	size_t pos, len;
	char in[8192];
};

struct times {
	double *v;
	size_t n, cap;
};

struct watcher {
	struct link link;
	long exists;	      /* as last told */
	struct times seen;    /* of watch_all alone */
	struct times answers; /* under mutex until the senders have ended */
};

static struct watcher *watchers;
static struct times acceptance;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static atomic_ulong next_message, refused, seen_all, accepted_all;
static atomic_bool sent_all;
static double begun;
static char *body;

static double now(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void times_add(struct times *t, double v)
{
	if (t->n == t->cap) {
		t->cap = t->cap ? t->cap * 2 : 256;
		t->v = realloc(t->v, t->cap * sizeof *t->v);
		if (!t->v)
			abort();
	}
	t->v[t->n++] = v;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void times_sort(struct times *t)
{
	if (t->n > 0)
		qsort(t->v, t->n, sizeof *t->v, by_value);
}

static double times_at(const struct times *t, double share)
{
	return t->n > 0 ? t->v[(size_t)((double)(t->n - 1) * share)] * 1000 : 0;
}

/* --- lines over TCP or TLS ---------------------------------------------------------------- */

static bool link_open(struct link *l, unsigned port)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port),
				 .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int one = 1;
	l->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return connect(l->fd, (struct sockaddr *)&at, sizeof at) == 0;
}

static bool put(struct link *l, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t k = l->ssl ? SSL_write(l->ssl, p, (int)n) : send(l->fd, p, n, MSG_NOSIGNAL);
		if (k <= 0)
			return false;
		p += k;
		n -= (size_t)k;
	}
	return true;
}

static bool get_line(struct link *l, char *line, size_t cap)
{
	for (size_t n = 0;;) {
		if (l->pos == l->len) {
			ssize_t k = l->ssl ? SSL_read(l->ssl, l->in, sizeof l->in)
					   : recv(l->fd, l->in, sizeof l->in, 0);
			if (k <= 0)
				return false;
			l->pos = 0;
			l->len = (size_t)k;
		}
		char c = l->in[l->pos++];
		if (n + 1 < cap)
			line[n++] = c;
		if (c == '\n') {
			line[n] = 0;
			return true;
		}
	}
}

/* --- IMAP: one thread watches all mailboxes ------------------------------------------------ */

static void note_line(struct watcher *w, const char *line)
{
	char *end;
	long n = line[0] == '*' ? strtol(line + 1, &end, 10) : 0;
	if (n <= 0 || strncmp(end, " EXISTS", 7) != 0)
		return;
	for (; w->exists < n && begun > 0; w->exists++) {
		times_add(&w->seen, now());
		(void)atomic_fetch_add(&seen_all, 1);
	}
	w->exists = n;
}

static bool command(struct watcher *w, const char *text, const char *until)
{
	char line[1024];
	if (text && !put(&w->link, text, strlen(text)))
		return false;
	do {
		if (!get_line(&w->link, line, sizeof line))
			return false;
		note_line(w, line);
	} while (strncmp(line, until, strlen(until)) != 0);
	return true;
}

static bool watcher_open(struct watcher *w, unsigned user, SSL_CTX *ctx)
{
	char login[100];
	(void)snprintf(login, sizeof login, "a LOGIN user%u@example.test secret\r\n", user);
	if (!link_open(&w->link, opt.imap))
		return false;
	w->link.ssl = SSL_new(ctx);
	if (!w->link.ssl || SSL_set_fd(w->link.ssl, w->link.fd) != 1 ||
	    SSL_connect(w->link.ssl) != 1)
		return false;
	return command(w, NULL, "* OK") && command(w, login, "a OK") &&
	       command(w, "b SELECT INBOX\r\n", "b OK") && command(w, "c IDLE\r\n", "+");
}

static bool idle_over(double *until)
{
	if (!atomic_load(&sent_all))
		return false;
	if (*until == 0)
		*until = now() + SETTLE_S;
	return atomic_load(&seen_all) >= atomic_load(&accepted_all) || now() > *until;
}

static void *watch_all(void *arg)
{
	struct pollfd *p = calloc(opt.users, sizeof *p);
	char line[1024];
	double until = 0;
	(void)arg;
	if (!p)
		abort();
	for (unsigned i = 0; i < opt.users; i++)
		p[i] = (struct pollfd){.fd = watchers[i].link.fd, .events = POLLIN};
	while (!idle_over(&until)) {
		if (poll(p, opt.users, 100) <= 0)
			continue;
		for (unsigned i = 0; i < opt.users; i++) {
			struct link *l = &watchers[i].link;
			if (p[i].revents == 0)
				continue;
			do { /* servers send whole lines; a part of one is waited for */
				if (!get_line(l, line, sizeof line)) {
					p[i].fd = -1;
					break;
				}
				note_line(&watchers[i], line);
			} while (l->pos < l->len || SSL_pending(l->ssl) > 0);
		}
	}
	free(p);
	return NULL;
}

/* --- SMTP: each thread one connection ------------------------------------------------------- */

static bool dialogue(struct link *l, const char *text, size_t n, char code)
{
	char line[1024];
	if (!put(l, text, n))
		return false;
	do {
		if (!get_line(l, line, sizeof line))
			return false;
	} while (line[3] == '-');
	return line[0] == code;
}

static bool send_message(struct link *l, unsigned long id, unsigned user, char *text)
{
	static const char mail[] = "MAIL FROM:<pace@load.test>\r\n";
	char rcpt[100];
	int n = snprintf(rcpt, sizeof rcpt, "RCPT TO:<user%u@example.test>\r\n", user);
	if (!dialogue(l, mail, sizeof mail - 1, '2') || !dialogue(l, rcpt, (size_t)n, '2') ||
	    !dialogue(l, "DATA\r\n", 6, '3'))
		return false;
	n = snprintf(
		text, opt.size,
		"From: <pace@load.test>\r\nTo: <user%u@example.test>\r\nSubject: message %lu\r\n"
		"Message-ID: <%lu.%ld@load.test>\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n\r\n",
		user, id, id, (long)(begun * 1000));
	memcpy(text + n, body, opt.size - (size_t)n);
	memcpy(text + opt.size, "\r\n.\r\n", 5);
	return dialogue(l, text, opt.size + 5, '2');
}

static void sleep_until(double due)
{
	double left = due - now();
	if (left <= 0)
		return;
	struct timespec t = {(time_t)left, (long)((left - (double)(time_t)left) * 1e9)};
	(void)nanosleep(&t, NULL);
}

static void *send_all(void *arg)
{
	struct link *l = calloc(1, sizeof *l);
	char *text = malloc(opt.size + 16), line[1024];
	unsigned long id, total = (unsigned long)(opt.rate * opt.seconds);
	(void)arg;
	if (!l || !text || !link_open(l, opt.smtp) || !get_line(l, line, sizeof line) ||
	    !dialogue(l, "EHLO load.test\r\n", 16, '2')) {
		(void)fputs("bench_pace: no SMTP connection\n", stderr);
		exit(1);
	}
	while ((id = atomic_fetch_add(&next_message, 1)) < total) {
		double due = begun + (double)id / opt.rate;
		unsigned user = (unsigned)(id % opt.users);
		sleep_until(due);
		if (!send_message(l, id, user + 1, text)) {
			(void)atomic_fetch_add(&refused, 1);
			break;
		}
		double t = now();
		(void)pthread_mutex_lock(&mutex);
		times_add(&acceptance, t - due);
		times_add(&watchers[user].answers, t);
		(void)pthread_mutex_unlock(&mutex);
		(void)atomic_fetch_add(&accepted_all, 1);
	}
	(void)close(l->fd);
	free(text);
	free(l);
	return NULL;
}

/* --- the run -------------------------------------------------------------------------------- */

static void report(double sending)
{
	struct times visible = {0};
	for (unsigned i = 0; i < opt.users; i++) {
		struct watcher *w = &watchers[i];
		times_sort(&w->answers);
		times_sort(&w->seen);
		for (size_t k = 0; k < w->answers.n && k < w->seen.n; k++) {
			double d = w->seen.v[k] - w->answers.v[k];
			times_add(&visible, d > 0 ? d : 0); /* seen before its 250 was read */
		}
	}
	times_sort(&acceptance);
	times_sort(&visible);
	(void)printf("{\"n\":%zu,\"refused\":%lu,\"rate\":%.1f,\"p50_ms\":%.2f,\"p99_ms\":%.2f,"
		     "\"max_ms\":%.2f,\"seen\":%zu,\"visible_p50_ms\":%.2f,\"visible_p99_ms\":%.2f,"
		     "\"visible_max_ms\":%.2f}\n",
		     acceptance.n, atomic_load(&refused), (double)acceptance.n / sending,
		     times_at(&acceptance, 0.5), times_at(&acceptance, 0.99),
		     times_at(&acceptance, 1), visible.n, times_at(&visible, 0.5),
		     times_at(&visible, 0.99), times_at(&visible, 1));
}

static void fill_body(void)
{
	body = malloc(opt.size);
	if (!body)
		abort();
	for (size_t i = 0; i < opt.size; i++)
		body[i] = i % 78 == 76 ? '\r' : i % 78 == 77 ? '\n' : (char)('a' + i % 23);
}

int main(int argc, char **argv)
{
	if (argc != 8) {
		(void)fputs("usage: bench_pace SMTP-PORT IMAPS-PORT RATE SECONDS CONNECTIONS USERS "
			    "SIZE\n",
			    stderr);
		return 2;
	}
	opt.smtp = (unsigned)strtoul(argv[1], NULL, 10);
	opt.imap = (unsigned)strtoul(argv[2], NULL, 10);
	opt.rate = strtod(argv[3], NULL);
	opt.seconds = strtod(argv[4], NULL);
	opt.conns = (unsigned)strtoul(argv[5], NULL, 10);
	opt.users = (unsigned)strtoul(argv[6], NULL, 10);
	opt.size = strtoul(argv[7], NULL, 10);
	if (opt.rate <= 0 || opt.conns == 0 || opt.users == 0 || opt.size < 1000)
		return 2;
	(void)signal(SIGPIPE, SIG_IGN);
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	watchers = calloc(opt.users, sizeof *watchers);
	pthread_t watching, *senders = calloc(opt.conns, sizeof *senders);
	fill_body();
	for (unsigned i = 0; i < opt.users; i++)
		if (!watcher_open(&watchers[i], i + 1, ctx)) {
			(void)fprintf(stderr, "bench_pace: user%u cannot log in\n", i + 1);
			return 1;
		}
	begun = now() + 0.5; /* all connections are open before the first is due */
	(void)pthread_create(&watching, NULL, watch_all, NULL);
	for (unsigned i = 0; i < opt.conns; i++)
		(void)pthread_create(&senders[i], NULL, send_all, NULL);
	for (unsigned i = 0; i < opt.conns; i++)
		(void)pthread_join(senders[i], NULL);
	double sending = now() - begun;
	atomic_store(&sent_all, true);
	(void)pthread_join(watching, NULL);
	report(sending);
	return atomic_load(&refused) > 0;
}

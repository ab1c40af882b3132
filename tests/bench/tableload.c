/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tableload -p PORT [-c CONNECTIONS] [-n REQUESTS] [-r FILE]: look-ups of a tcp_table, as Postfix asks for them: each
 * connection asks when it has its answer. Without a file the keys are senders of 1,000 domains; -r: they are the lines of
 * a file, in turn. One line of JSON: rate, p50_ms, p99_ms, found.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define DOMAINS	  1000
#define LINE_MAX_ 4200
#define CONNS_MAX 1000

struct client {
	int fd;
	double asked;
	size_t n;
	char in[LINE_MAX_];
};

static struct client clients[CONNS_MAX];
static char **keys;
static long keys_n;
static long next_key, done, found, total = 100000;
static float *times;

static double now(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what)
{
	(void)fprintf(stderr, "tableload: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void read_keys(const char *path)
{
	char line[LINE_MAX_];
	FILE *f = fopen(path, "re");
	if (!f)
		die(path);
	while (fgets(line, sizeof line, f)) {
		line[strcspn(line, "\n")] = '\0';
		keys = realloc(keys, (size_t)(keys_n + 1) * sizeof *keys);
		if (!keys || !(keys[keys_n++] = strdup(line)))
			die("memory");
	}
	(void)fclose(f);
}

static void ask(struct client *c)
{
	char text[LINE_MAX_ + 10];
	long k = next_key++;
	int n = keys_n ? snprintf(text, sizeof text, "get %s\n", keys[k % keys_n])
		       : snprintf(text, sizeof text, "get sender%ld@load%ld.test\n", k, k % DOMAINS);
	c->asked = now();
	c->n = 0;
	if (write(c->fd, text, (size_t)n) != n)
		die("write");
}

static void answer(struct client *c)
{
	ssize_t n = read(c->fd, c->in + c->n, sizeof c->in - c->n);
	if (n <= 0)
		die("read");
	c->n += (size_t)n;
	if (c->in[c->n - 1] != '\n')
		return;
	times[done++] = (float)((now() - c->asked) * 1000);
	found += memcmp(c->in, "200 ", 4) == 0;
	if (next_key < total)
		ask(c);
}

static int by_size(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;
	return (x > y) - (x < y);
}

static void begin(struct client *c, int port, int all)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons((uint16_t)port),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
	int one = 1;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&a, sizeof a) < 0 ||
	    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0 ||
	    epoll_ctl(all, EPOLL_CTL_ADD, c->fd, &e) < 0)
		die("connect");
}

int main(int argc, char **argv)
{
	int port = 0, conns = 8, option;
	while ((option = getopt(argc, argv, "p:c:n:r:")) != -1) {
		if (option == 'p')
			port = (int)strtol(optarg, NULL, 10);
		else if (option == 'c')
			conns = (int)strtol(optarg, NULL, 10);
		else if (option == 'n')
			total = strtol(optarg, NULL, 10);
		else if (option == 'r')
			read_keys(optarg);
	}
	if (port <= 0 || conns <= 0 || conns > CONNS_MAX || total < conns) {
		(void)fprintf(stderr, "usage: tableload -p PORT [-c CONNECTIONS] [-n REQUESTS] [-r FILE]\n");
		return 2;
	}
	times = calloc((size_t)total, sizeof *times);
	int all = epoll_create1(EPOLL_CLOEXEC);
	if (!times || all < 0)
		die("memory");
	for (int i = 0; i < conns; i++)
		begin(&clients[i], port, all);
	double begun = now();
	for (int i = 0; i < conns; i++)
		ask(&clients[i]);
	while (done < total) {
		struct epoll_event ready[64];
		int n = epoll_wait(all, ready, 64, 10000);
		if (n <= 0)
			die("no answer");
		for (int i = 0; i < n; i++)
			answer(ready[i].data.ptr);
	}
	double took = now() - begun;
	qsort(times, (size_t)total, sizeof *times, by_size);
	(void)printf("{\"n\": %ld, \"rate\": %.0f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"found\": %ld}\n", total,
		     (double)total / took, (double)times[total / 2], (double)times[total * 99 / 100], found);
	return 0;
}

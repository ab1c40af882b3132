/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - load on a running server: thousands of IMAP clients in IDLE, thousands of SMTP
 * connections.
 *
 *     bench_load fill  --imaps PORT --clients N --messages M        M messages for each account
 *     bench_load idle  --imaps PORT --smtp PORT --clients N --connections C --rcpts R
 *
 * `idle` prints one JSON line when all clients are idle and waits for a line on standard input (so
 * that somebody may measure); opens all SMTP connections, prints a line and waits again; then each
 * connection sends a message to R accounts, and a last line says how long it took until all clients
 * were told. Accounts are user1 (or userFIRST) and on, of example.test, password `secret`.
 */
#include "base/check.h"
#include "sys/clock.h"
#include "load.h"
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define DESCRIPTORS_APART 64
#define POLL_US		  1000

static struct load o = {.host = "127.0.0.1",
			.clients = 100,
			.first = 1,
			.processes = 2,
			.messages = 1000,
			.connections = 0,
			.rcpts = 1,
			.size = 1024,
			.width = 64,
			.fetch = true};
static struct shared *shared;

static int usage(void)
{
	(void)fputs("usage: bench_load fill|idle --imaps PORT [--smtp PORT] [--clients N] [--processes N]\n"
		    "       [--messages N] [--connections N] [--rcpts N] [--size BYTES] [--width N] [--first N]\n"
		    "       [--no-fetch] [--host ADDRESS]\n",
		    stderr);
	return 2;
}

static bool parse(int argc, char **argv)
{
	static const struct option options[] = {
		{"imaps", 1, NULL, 'i'},    {"smtp", 1, NULL, 's'},	   {"clients", 1, NULL, 'n'},
		{"processes", 1, NULL, 'p'}, {"messages", 1, NULL, 'm'},   {"connections", 1, NULL, 'c'},
		{"rcpts", 1, NULL, 'r'},    {"size", 1, NULL, 'b'},	   {"width", 1, NULL, 'w'},
		{"first", 1, NULL, 'F'}, {"no-fetch", 0, NULL, 'f'}, {"host", 1, NULL, 'h'},	   {0}};
	unsigned *const numbers[] = {['i'] = &o.imaps,	     ['s'] = &o.smtp,	  ['n'] = &o.clients,     ['F'] = &o.first,
				     ['p'] = &o.processes,   ['m'] = &o.messages, ['r'] = &o.rcpts,
				     ['c'] = &o.connections, ['b'] = &o.size,	  ['w'] = &o.width};
	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (c == '?')
			return false;
		if (c == 'f')
			o.fetch = false;
		else if (c == 'h')
			o.host = optarg;
		else
			*numbers[c] = (unsigned)strtoul(optarg, NULL, 10);
	}
	return optind == argc - 1 && o.imaps && o.clients && o.processes && o.width;
}

/* As many descriptors as one process may have here, and enough processes for the clients. */
static void descriptors(void)
{
	struct rlimit l;
	CHECK(getrlimit(RLIMIT_NOFILE, &l) == 0);
	l.rlim_cur = l.rlim_max;
	CHECK(setrlimit(RLIMIT_NOFILE, &l) == 0);
	unsigned each = (unsigned)MIN(l.rlim_max, (rlim_t)1000000) - DESCRIPTORS_APART;
	o.processes = MAX(o.processes, (o.clients + each - 1) / each);
	if (o.connections > each) {
		(void)fprintf(stderr, "bench_load: %u SMTP connections, but a process may hold %u\n",
			      o.connections, each);
		exit(2);
	}
}

static SSL_CTX *tls_context(void)
{
	SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
	CHECK(tls);
	(void)SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
	(void)SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
	return tls;
}

static void start_imap(const struct dialogue *dialogue)
{
	for (unsigned i = 0; i < o.processes; i++) {
		unsigned first = (unsigned)((uint64_t)o.clients * i / o.processes);
		unsigned end = (unsigned)((uint64_t)o.clients * (i + 1) / o.processes);
		if (fork() != 0)
			continue;
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		struct crowd c = {.o = &o,
				  .shared = shared,
				  .tls = tls_context(),
				  .dialogue = dialogue,
				  .port = o.imaps,
				  .first = first,
				  .n = end - first};
		crowd_run(&c, NULL);
	}
}

static void start_smtp(void)
{
	if (fork() != 0)
		return;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	struct crowd c = {.o = &o,
			  .shared = shared,
			  .dialogue = &dialogue_smtp,
			  .port = o.smtp,
			  .n = o.connections};
	crowd_run(&c, smtp_tick);
}

static void end_all(int code)
{
	atomic_store(&shared->leave, true);
	while (wait(NULL) > 0 || errno == EINTR)
		continue;
	exit(code);
}

/* Until `count` has come to n. The seconds that it took. */
static double await(_Atomic unsigned *count, unsigned n, const char *what)
{
	int64_t begun = clock_mono().v;
	while (atomic_load(count) < n) {
		if (atomic_load(&shared->failed)) {
			(void)fprintf(stderr, "bench_load: %s: %u of %u; %s\n", what, atomic_load(count), n,
				      shared->why);
			end_all(1);
		}
		(void)usleep(POLL_US);
	}
	return (double)(clock_mono().v - begun) / 1e9;
}

static void await_word(void)
{
	char line[20];
	(void)fflush(stdout);
	if (!fgets(line, sizeof line, stdin))
		end_all(0);
}

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return x < y ? -1 : x > y;
}

/* From the 250 of its message until the client was told: of those that got one. */
static void report(unsigned reached, double accepting)
{
	int64_t *wait = xcalloc(reached, sizeof *wait), last_accepted = 0, last_told = 0;
	for (unsigned i = 0; i < reached; i++) {
		int64_t accepted = *accepted_at(shared, i), told = *told_at(shared, &o, i);
		wait[i] = told - accepted;
		last_accepted = MAX(last_accepted, accepted);
		last_told = MAX(last_told, told);
	}
	qsort(wait, reached, sizeof *wait, by_value);
	(void)printf("{\"told\": %u, \"accept_s\": %.3f, \"all_told_s\": %.3f, \"last_250_to_last_told_ms\": %.1f, "
		     "\"from_250_ms\": {\"p50\": %.1f, \"p99\": %.1f, \"max\": %.1f}}\n",
		     reached, accepting, (double)(last_told - shared->first_sent) / 1e9,
		     (double)(last_told - last_accepted) / 1e6, (double)wait[reached / 2] / 1e6,
		     (double)wait[(size_t)((reached - 1) * 0.99)] / 1e6, (double)wait[reached - 1] / 1e6);
	free(wait);
}

static void idle(void)
{
	start_imap(&dialogue_idle);
	double took = await(&shared->set_up, o.clients, "idle clients");
	(void)printf("{\"idle\": %u, \"login_s\": %.2f}\n", o.clients, took);
	await_word();
	if (!o.connections)
		end_all(0);
	start_smtp();
	took = await(&shared->connected, o.connections, "SMTP connections");
	(void)printf("{\"connected\": %u, \"connect_s\": %.2f}\n", o.connections, took);
	await_word();
	unsigned reached = (unsigned)MIN((uint64_t)o.connections * o.rcpts, o.clients);
	atomic_store(&shared->send, true);
	double accepting = await(&shared->accepted, o.connections, "messages accepted");
	(void)await(&shared->told, reached, "clients told");
	report(reached, accepting);
	await_word();
	end_all(0);
}

static void fill(void)
{
	start_imap(&dialogue_fill);
	double took = await(&shared->set_up, o.clients, "mailboxes filled");
	(void)printf("{\"filled\": %u, \"messages\": %u, \"fill_s\": %.2f}\n", o.clients, o.messages, took);
	end_all(0);
}

int main(int argc, char **argv)
{
	if (!parse(argc, argv))
		return usage();
	const char *mode = argv[optind];
	descriptors();
	size_t size = sizeof *shared + 2 * (size_t)o.clients * sizeof shared->times[0];
	shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED);
	(void)signal(SIGPIPE, SIG_IGN);
	if (strcmp(mode, "fill") == 0)
		fill();
	else if (strcmp(mode, "idle") == 0)
		idle();
	return usage();
}

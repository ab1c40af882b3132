/* SPDX-License-Identifier: Apache-2.0 */
/*
 * barid user add --file FILE: many users from comma separated values.
 *
 * The first line names the columns: address, and keys of `user add`. Records are read in groups;
 * while the orders of one group are under way, threads hash the passwords of the next. A record
 * that is refused is reported with its line, and the others go on. Memory does not grow with the
 * file.
 */
#include "base/check.h"
#include "base/text.h"
#include "codec/csv/csv.h"
#include "service/dir/password.h"
#include "tools/barid/orders.h"
#include "tools/barid/progress.h"
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define COLUMNS_MAX 40
#define GROUP	    64
#define RECORD_MAX  KIB(64)
#define THREADS_MAX 16

struct import {
	const struct cli *cli;
	struct orders *orders;
	FILE *in;
	const char *name; /* of the file, for messages */
	bool skip_existing;
	struct arena header_arena;
	struct str columns[COLUMNS_MAX];
	size_t n_columns;
	size_t address_at;
	char separator;
	size_t line; /* last one read */
	size_t added, skipped, refused;
	struct progress progress;
};

struct record {
	struct import *im;
	size_t line;
	struct str fields[COLUMNS_MAX];
	struct buf hash;
	struct fail why;
	int r; /* of reading and hashing */
};

struct group {
	struct arena arena;
	struct record records[GROUP];
	size_t n;
	size_t next; /* for the hashing threads */
	pthread_mutex_t lock;
	pthread_t threads[THREADS_MAX];
	size_t n_threads;
};

/* --- reading --- */

/* A record with all its lines; 0 at the end of the file. */
static int read_record(struct import *im, struct buf *text)
{
	char line[4096];
	buf_reset(text);
	while (fgets(line, sizeof line, im->in)) {
		struct str s = str_c(line);
		bool whole = s.n && s.p[s.n - 1] == '\n';
		if (buf_add(text, s) < 0)
			return -FAIL_LIMIT;
		im->line += whole;
		if ((whole || feof(im->in)) && csv_complete(buf_str(text)))
			return 1;
	}
	return text->n ? 1 : 0;
}

static bool blank(const struct buf *text)
{
	return str_trim(buf_str(text)).n == 0;
}

static bool read_header(struct import *im)
{
	AUTO(buf) struct buf text = BUF_INIT(RECORD_MAX);
	int r = read_record(im, &text);
	im->separator = csv_separator(buf_str(&text));
	if (r == 1)
		r = csv_split(buf_str(&text), im->separator, &im->header_arena, im->columns,
			      COLUMNS_MAX);
	im->n_columns = r > 0 ? (size_t)r : 0;
	im->address_at = COLUMNS_MAX;
	for (size_t i = 0; i < im->n_columns; i++)
		if (str_eqi(im->columns[i], STR("address")))
			im->address_at = i;
	if (im->address_at < im->n_columns)
		return true;
	(void)fprintf(stderr,
		      T("%s: the first line must name the columns, one of them \"address\", for "
			"example: address,password,name,quota\n"),
		      im->name);
	return false;
}

static void read_fields(struct import *im, struct group *g, struct str text)
{
	struct record *rec = &g->records[g->n++];
	*rec = (struct record){.im = im, .line = im->line, .hash = BUF_INIT(KIB(1))};
	int n = csv_split(text, im->separator, &g->arena, rec->fields, COLUMNS_MAX);
	if (n < 0)
		rec->r = fail_set(&rec->why, FAIL_SYNTAX, "The quotes of this record do not match.",
				  "csv");
	else if ((size_t)n != im->n_columns)
		rec->r = fail_set(&rec->why, FAIL_SYNTAX,
				  "This record has more or fewer fields than the first line names.",
				  "csv");
}

/* Fill the group. False: the file cannot be read any further. */
static bool read_group(struct import *im, struct group *g)
{
	AUTO(buf) struct buf text = BUF_INIT(RECORD_MAX);
	g->n = g->next = 0;
	while (g->n < GROUP) {
		int r = read_record(im, &text);
		if (r < 0) {
			(void)fprintf(stderr,
				      T("%s:%zu: a record is longer than 64 KiB; is a quote "
					"missing?\n"),
				      im->name, im->line + 1);
			im->refused++;
			return false;
		}
		if (r == 0)
			return true;
		if (!blank(&text))
			read_fields(im, g, buf_str(&text));
	}
	return true;
}

/* --- hashing --- */

static void hash_one(struct record *rec)
{
	const struct import *im = rec->im;
	for (size_t i = 0; rec->r == 0 && i < im->n_columns; i++)
		if (str_eqi(im->columns[i], STR("password")) && rec->fields[i].n)
			rec->r = password_make_first(rec->fields[i], &rec->hash, &rec->why);
}

static void *hash_thread(void *arg)
{
	struct group *g = arg;
	for (;;) {
		pthread_mutex_lock(&g->lock);
		size_t i = g->next++;
		pthread_mutex_unlock(&g->lock);
		if (i >= g->n)
			return NULL;
		hash_one(&g->records[i]);
	}
}

static void hash_begin(struct group *g)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	size_t want = MIN((size_t)MAX(cpus, 1), (size_t)THREADS_MAX);
	g->n_threads = 0;
	while (g->n_threads < want &&
	       pthread_create(&g->threads[g->n_threads], NULL, hash_thread, g) == 0)
		g->n_threads++;
	if (g->n_threads == 0)
		(void)hash_thread(g);
}

static void hash_end(struct group *g)
{
	for (size_t i = 0; i < g->n_threads; i++)
		(void)pthread_join(g->threads[i], NULL);
	g->n_threads = 0;
}

/* --- orders --- */

static void refused(struct record *rec, const struct fail *why)
{
	struct import *im = rec->im;
	if (why->code == FAIL_EXISTS && im->skip_existing) {
		im->skipped++;
		return;
	}
	im->refused++;
	(void)fprintf(stderr, "%s:%zu: %.*s: %s\n", im->name, rec->line,
		      STR_ARG(rec->fields[im->address_at]),
		      why->public[0] ? why->public : fail_public_default(why->code));
}

static void answered(void *context, const struct order_answer *answer)
{
	struct record *rec = context;
	if (answer->r < 0)
		refused(rec, answer->why);
	else
		rec->im->added++;
}

static void give(struct record *rec)
{
	const struct import *im = rec->im;
	struct str words[3 + 2 * COLUMNS_MAX] = {STR("user"), STR("add"),
						 rec->fields[im->address_at]};
	char keys[COLUMNS_MAX][64];
	size_t n = 3;
	if (rec->r < 0) {
		refused(rec, &rec->why);
		return;
	}
	for (size_t i = 0; i < im->n_columns; i++) {
		bool password = str_eqi(im->columns[i], STR("password"));
		if (i == im->address_at || rec->fields[i].n == 0)
			continue; /* an empty field: the default */
		(void)snprintf(keys[i], sizeof keys[i], "--%.*s", STR_ARG(im->columns[i]));
		words[n++] = password ? STR("--password-hash") : str_c(keys[i]);
		words[n++] = password ? buf_str(&rec->hash) : rec->fields[i];
	}
	orders_give(im->orders, words, n, answered, rec);
}

static void group_clear(struct group *g)
{
	for (size_t i = 0; i < g->n; i++)
		buf_clear(&g->records[i].hash);
	g->n = 0;
	arena_clear(&g->arena);
}

static bool import_all(struct import *im)
{
	struct group *now = xcalloc(1, sizeof *now), *next = xcalloc(1, sizeof *next);
	now->arena = next->arena = ARENA_INIT(MIB(8));
	pthread_mutex_init(&now->lock, NULL);
	pthread_mutex_init(&next->lock, NULL);
	bool ok = read_group(im, now);
	hash_begin(now);
	hash_end(now);
	while (now->n) {
		ok = ok && read_group(im, next);
		hash_begin(next);
		for (size_t i = 0; i < now->n; i++)
			give(&now->records[i]);
		orders_wait(im->orders);
		hash_end(next);
		size_t n = now->n;
		group_clear(now);
		struct group *done = now;
		now = next;
		next = done;
		progress_add(&im->progress, (uint64_t)n);
	}
	free(now);
	free(next);
	return ok;
}

/* --- the command --- */

static bool parse(const struct cli *c, struct import *im)
{
	for (size_t i = 2; i < c->n; i++) {
		if (strcmp(c->args[i], "--file") == 0 && i + 1 < c->n)
			im->name = c->args[++i];
		else if (strcmp(c->args[i], "--skip-existing") == 0)
			im->skip_existing = true;
		else
			return false;
	}
	return im->name;
}

int cli_user_file(const struct cli *c)
{
	struct import im = {.cli = c, .header_arena = ARENA_INIT(RECORD_MAX)};
	int exit_code = EXIT_FAILED;
	if (!parse(c, &im)) {
		(void)fputs(T("Usage: barid user add --file FILE [--skip-existing]\n"), stderr);
		return EXIT_USAGE;
	}
	im.in = strcmp(im.name, "-") == 0 ? stdin : fopen(im.name, "re");
	if (!im.in) {
		(void)fprintf(stderr, T("Cannot read %s: %s\n"), im.name, strerror(errno));
		return EXIT_FAILED;
	}
	progress_begin(&im.progress, "users", 0);
	bool ok = read_header(&im) && (im.orders = orders_open(c, true, &exit_code)) != NULL;
	if (ok) {
		exit_code = import_all(&im) && im.refused == 0 ? EXIT_DONE : EXIT_FAILED;
		progress_end(&im.progress);
		(void)printf(T("%zu added, %zu existed already, %zu refused\n"), im.added,
			     im.skipped, im.refused);
	}
	orders_close(im.orders);
	arena_clear(&im.header_arena);
	if (im.in != stdin)
		(void)fclose(im.in);
	return exit_code;
}

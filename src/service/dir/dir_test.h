/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dir_test.h - a directory in a folder of its own, filled by orders.           [tests only]
 */
#ifndef BARID_SERVICE_DIR_DIR_TEST_H
#define BARID_SERVICE_DIR_DIR_TEST_H

#include "base/test.h"
#include "runtime/db/db.h"
#include "service/dir/dir_admin.h"
#include "sys/clock.h"
#include "sys/testdir.h"

struct home {
	struct testdir folder;
	char path[200];
	struct dir_config c;
	struct dir *d;
	struct arena a;
	struct dir_table t; /* of the last order */
	struct fail why;
};

static inline void home_open(struct home *h)
{
	assert_ok(dir_open(&h->c, &h->d, &h->why), &h->why);
}

static inline void home_init(struct home *h)
{
	*h = (struct home){.folder = testdir_new(), .a = ARENA_INIT(MIB(8))};
	(void)snprintf(h->path, sizeof h->path, "%s/vmail.db", h->folder.path);
	h->c = dir_config_default();
	h->c.path = h->path;
	home_open(h);
}

static inline void home_free(struct home *h)
{
	dir_close(h->d);
	arena_clear(&h->a);
	testdir_remove(&h->folder);
	clock_bend_us(0);
}

/* Run an order of words divided by blanks. */
static inline int order_as(struct home *h, const struct dir_scope *scope, const char *text)
{
	struct str v[32];
	size_t n = 0;
	struct str rest = str_c(arena_c(&h->a, str_c(text)));
	struct str word;
	while (n < ARRAY_LEN(v) && str_cut(&rest, ' ', &word))
		v[n++] = word;
	h->why = FAIL_INIT;
	return dir_admin(h->d, scope, (struct dir_args){v, n}, &h->a, &h->t, &h->why);
}

static inline int order(struct home *h, const char *text)
{
	return order_as(h, &(struct dir_scope){.kind = DIR_SCOPE_GLOBAL}, text);
}

#define ORDER(h, text) assert_ok(order(h, text), &(h)->why)

/* What another program does to the file. */
static inline void edit(struct home *h, const char *sql)
{
	AUTO(db) struct db *db = NULL;
	struct db_options o = {.path = h->path};
	assert_ok(db_open(&o, &db, &h->why), &h->why);
	assert_ok(db_exec(db, sql, &h->why), &h->why);
}

/* First column of the first row, as another program sees it; "" when there is none. */
static inline struct str look(struct home *h, const char *sql)
{
	AUTO(db) struct db *db = NULL;
	struct db_options o = {.path = h->path};
	struct db_stmt *st = NULL;
	struct str s = STR("");
	assert_ok(db_open(&o, &db, &h->why), &h->why);
	assert_ok(db_stmt(db, sql, &st, &h->why), &h->why);
	if (db_step(st, &h->why) == 1)
		s = arena_str(&h->a, db_col_text(st, 0));
	db_reset(st);
	return s;
}

#endif

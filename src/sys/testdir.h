/* SPDX-License-Identifier: Apache-2.0 */
/*
 * testdir.h - a new folder for one test, removed with all in it.               [sys, tests only]
 *
 *     AUTO(testdir) struct testdir d = testdir_new();
 *     fs_open(fs_real(), testdir_path(&d, "name"), ...)
 */
#ifndef BARID_SYS_TESTDIR_H
#define BARID_SYS_TESTDIR_H

#include "base/auto.h"
#include "base/check.h"
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct testdir {
	char path[64];
	char name[4][200]; /* a ring for testdir_path */
	unsigned turn;
};

static inline struct testdir testdir_new(void)
{
	const char *base = getenv("TMPDIR"); /* ./dev fuzz puts it into memory */
	struct testdir d = {0};
	bool usable = base && base[0] == '/' && strlen(base) < 40;
	(void)snprintf(d.path, sizeof d.path, "%s/barid-test-XXXXXX", usable ? base : "/tmp");
	CHECK(mkdtemp(d.path));
	return d;
}

static inline int testdir_remove_(const char *path, const struct stat *st, int flag,
				  struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static inline void testdir_remove(struct testdir *d)
{
	(void)nftw(d->path, testdir_remove_, 16, FTW_DEPTH | FTW_PHYS);
}
DEFINE_AUTO(testdir, struct testdir, testdir_remove);

/* "<folder>/<name>"; good for the next three calls. */
static inline const char *testdir_path(struct testdir *d, const char *name)
{
	char *p = d->name[d->turn++ % 4];
	size_t n = strlen(d->path), m = strlen(name);
	CHECK(n + m + 2 <= sizeof d->name[0]);
	memcpy(p, d->path, n);
	p[n] = '/';
	memcpy(p + n + 1, name, m + 1);
	return p;
}

#endif

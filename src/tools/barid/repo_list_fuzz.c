/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of a backup, damaged or made by somebody else, with and without the sum at its end (the
 * input's first byte): files have names below the folder, and blocks that are in the list.
 */
#include "base/check.h"
#include "base/encode.h"
#include "sys/sha256.h"
#include "sys/testdir.h"
#include "tools/barid/repo.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct testdir folder;
static struct repo *repo;

static void end(void)
{
	testdir_remove(&folder);
}

static void begin(void)
{
	struct fail why = FAIL_INIT;
	folder = testdir_new();
	(void)atexit(end);
	CHECK(repo_open(folder.path, true, true, &repo, &why) == 0);
}

static void write_list(struct str text, bool sum)
{
	char path[200];
	unsigned char digest[SHA256_LEN];
	AUTO(buf) struct buf line = BUF_INIT(128);
	(void)snprintf(path, sizeof path, "%s/generations/g", folder.path);
	AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	CHECK(fd >= 0 && write(fd, text.p, text.n) == (ssize_t)text.n);
	if (!sum)
		return;
	sha256_of(text, digest);
	(void)buf_add_c(&line, "end ");
	(void)hex_encode(&line, str_make((const char *)digest, sizeof digest));
	(void)buf_addc(&line, '\n');
	CHECK(write(fd, line.p, line.n) == (ssize_t)line.n);
}

static void check_file(const struct repo_generation *g, const struct repo_file *f)
{
	struct str name = str_c(f->name);
	CHECK(name.n > 0 && name.p[0] != '/' && str_find_str(name, 0, STR("..")) == name.n);
	CHECK(f->first <= g->blocks.n && f->n <= g->blocks.n - f->first);
	CHECK((f->mode & ~0777u) == 0);
	CHECK(repo_find(g, f->name));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(repo_generation) struct repo_generation g = {0};
	struct fail why = FAIL_INIT;
	if (!repo)
		begin();
	if (size == 0 || size > KIB(16))
		return 0;
	write_list(str_make((const char *)data + 1, size - 1), data[0] & 1);
	int r = repo_read(repo, "g", &g, &why);
	CHECK(r == 0 || why.code);
	if (r < 0)
		return 0;
	CHECK(g.partitions <= 65536 && g.taken.v >= 0);
	CHECK(strlen(g.address) < sizeof g.address && strlen(g.mailbox) < sizeof g.mailbox);
	for (size_t i = 0; i < g.files.n; i++)
		check_file(&g, &g.files.p[i]);
	return 0;
}

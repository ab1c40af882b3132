/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mailbox.c - how long the store takes for a session's commands on one large mailbox.
 *
 *     bench_mailbox FOLDER [MESSAGES]
 */
#include "base/check.h"
#include "service/store/store_view.h"
#include "sys/clock.h"
#include <stdio.h>
#include <stdlib.h>

#define ME    ((struct account_id){1})
#define BATCH 10000

static struct fail why;
static struct mono_ns began;

static void must(int r, const char *what)
{
	if (r >= 0)
		return;
	(void)fprintf(stderr, "%s: %s\n", what, why.detail);
	exit(1);
}

static void start(void)
{
	began = clock_mono();
}

static void stop(const char *what)
{
	(void)printf("%-44s %9.3f ms\n", what, (double)(clock_mono().v - began.v) / 1e6);
}

static void fill(struct store *s, size_t n)
{
	static struct store_append_message m[1000];
	for (size_t i = 0; i < ARRAY_LEN(m); i++) {
		m[i].content = (struct store_content){.prefix = STR("Received: x\r\n"),
						      .bytes = STR("Subject: x\r\n\r\nx\r\n"),
						      .map = STR("map")};
		m[i].flags.bits = STORE_SEEN;
	}
	for (size_t done = 0; done < n; done += ARRAY_LEN(m)) {
		if (done + ARRAY_LEN(m) >= n)
			m[ARRAY_LEN(m) - 10].flags.bits = 0;
		struct store_append a = {
			.account = ME, .mailbox = STR("INBOX"), .messages = m, .n = ARRAY_LEN(m)};
		struct store_append_result res;
		must(store_append(s, &a, &res, &why), "append");
	}
}

static struct store_set range(struct store_view *v, struct arena *arena, uint32_t lo, uint32_t hi)
{
	struct store_set set;
	struct store_range r = {lo, hi};
	must(store_view_resolve(v, &r, 1, false, arena, &set, &why), "resolve");
	return set;
}

static void set_flags(struct store_view *v, const struct store_set *set, uint32_t bits,
		      const char *what)
{
	struct store_flagset f = {.bits = bits};
	struct store_flags_result res;
	start();
	must(store_view_store(v, set, STORE_FLAGS_ADD, &f, NULL, &res, &why), what);
	stop(what);
	store_flags_result_clear(&res);
}

static void sync_view(struct store_view *v, const char *what)
{
	const struct store_changes *c;
	start();
	must(store_view_sync(v, STORE_SYNC_EXPUNGE, &c, &why), what);
	stop(what);
}

static void commands(struct store *s, struct arena *arena)
{
	struct store_view *a, *b;
	struct store_copy_result copy;
	start();
	must(store_view_open(s, ME, STR("INBOX"), false, &a, &why), "select");
	stop("SELECT, first");
	start();
	must(store_view_open(s, ME, STR("INBOX"), false, &b, &why), "select");
	stop("SELECT, again");
	sync_view(b, "NOOP without news");
	fill(s, 1000);
	sync_view(b, "NOOP with 1,000 new, no map yet");
	sync_view(a, "the same in the other session");
	start();
	struct store_set set = range(a, arena, 1, BATCH);
	stop("first use of the map (load)");
	set_flags(a, &set, STORE_FLAGGED, "STORE of 10,000");
	sync_view(b, "the other session learns 10,000 flags");
	start();
	must(store_view_copy(a, &set, STR("Trash"), NULL, &copy, &why), "copy");
	stop("COPY of 10,000");
	store_copy_result_clear(&copy);
	set = range(a, arena, 20001, 30000);
	start();
	must(store_view_move(a, &set, STR("Archive"), &copy, &why), "move");
	stop("MOVE of 10,000");
	store_copy_result_clear(&copy);
	set = range(a, arena, 1, BATCH);
	set_flags(a, &set, STORE_DELETED, "STORE \\Deleted of 10,000");
	start();
	must(store_view_expunge(a, NULL, NULL, &why), "expunge");
	stop("EXPUNGE of 10,000");
	sync_view(a, "own view learns 20,000 expunges");
	sync_view(b, "the other session too");
	store_view_close(a);
	store_view_close(b);
}

static void read_all(struct store *s, struct arena *arena, unsigned columns, const char *what)
{
	struct store_view *v;
	struct store_set set;
	struct store_reader *r;
	struct store_message m;
	must(store_view_open(s, ME, STR("INBOX"), false, &v, &why), "select");
	must(store_view_all(v, arena, &set, &why), "all");
	start();
	must(store_read_begin(v, &set, columns, (struct modseq){0}, &r, &why), "read");
	int got;
	while ((got = store_read_next(r, &m, &why)) > 0)
		continue;
	must(got, "read");
	stop(what);
	store_read_end(r);
	store_view_close(v);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	size_t n = argc > 2 ? strtoull(argv[2], NULL, 10) : 100000;
	char root[1000], blobs[1000];
	(void)snprintf(root, sizeof root, "%s/store", argv[1]);
	(void)snprintf(blobs, sizeof blobs, "%s/blob", argv[1]);
	struct store_options o = {.root = root, .blobs = blobs};
	struct store *s;
	AUTO(arena) struct arena arena = ARENA_INIT(MIB(64));
	must(store_open(&o, &s, &why), "open");
	must(store_account_ensure(s, ME, store_default_folders, &why), "account");
	start();
	fill(s, n);
	stop("APPEND of all, 1,000 at a time");
	store_close(s);
	must(store_open(&o, &s, &why), "open");
	commands(s, &arena);
	read_all(s, &arena, 0, "FETCH 1:* (UID FLAGS RFC822.SIZE)");
	read_all(s, &arena, STORE_COL_MAP, "FETCH 1:* ENVELOPE (rows)");
	start();
	must(store_check(s, ME, &why), "check");
	stop("recount of everything");
	store_close(s);
	return 0;
}

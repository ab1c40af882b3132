/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault_test.c - the power goes, or a call fails, at every single call of a series of changes.
 *
 * The series runs once undisturbed and notes what the account looks like after each step. Then,
 * for each n, it runs again from the same beginning with a fault at the n-th file-system call. A
 * step that was answered is there completely; the one that was not is there completely or not at
 * all; and the account's counters agree with a recount.
 */
#include "service/store/store_testing.h"
#include "sys/fs.h"
#include "sys/fs_fault.h"
#include <fcntl.h>
#include <sys/stat.h>

#define MAX_STEPS  20
#define MANY_CALLS 100 /* that the series makes at least: the test does test something */

struct run {
	struct world w;
	struct store_view *v;
};

/* ---- the steps ----------------------------------------------------------------------------- */

static int try_append(struct run *x, const char *box, const struct store_content *c)
{
	struct str word = STR("$Work");
	struct store_append_message m = {
		.content = *c, .flags = {.keywords = &word, .n_keywords = 1}, .internaldate = {5}};
	struct store_append a = {.account = ALICE, .mailbox = str_c(box), .messages = &m, .n = 1};
	struct store_append_result res;
	return store_append(x->w.s, &a, &res, &x->w.why);
}

static int append_inline(struct run *x)
{
	return try_append(x, "INBOX",
			  &(struct store_content){.bytes = STR("small"), .map = STR("map")});
}

static int make_body(struct run *x, struct store_body *b, char c)
{
	static char text[70000];
	memset(text, c, sizeof text);
	int r = store_body_create(x->w.s, 0, b, &x->w.why);
	if (r < 0)
		return r;
	struct fs_file f = {x->w.o.fs ? x->w.o.fs : fs_real(), b->fd};
	r = fs_pwrite(&f, text, sizeof text, 0, &x->w.why);
	return r < 0 ? r : store_body_seal(x->w.s, b, &x->w.why);
}

static int append_file(struct run *x)
{
	AUTO(store_body) struct store_body b = STORE_BODY_INIT;
	int r = make_body(x, &b, 'f');
	return r < 0 ? r
		     : try_append(x, "INBOX", &(struct store_content){.file = &b, .verify = true});
}

static int deliver_small(struct run *x)
{
	struct waiting d = {0};
	return deliver_one(x->w.s, 100, &d);
}

/* Where the receipt is, the first try has happened although nobody was told. */
static int deliver_again(struct run *x)
{
	struct waiting d = {0};
	int r = deliver_one(x->w.s, 100, &d);
	if (r == 0)
		assert_true(d.d.repeated);
	return r;
}

static int deliver_file(struct run *x)
{
	AUTO(store_body) struct store_body b = STORE_BODY_INIT;
	int r = make_body(x, &b, 'g');
	struct waiting d = {
		.d = {.content = {.file = &b}, .folder = STR("new/folder"), .folder_create = true}};
	return r < 0 ? r : deliver_one(x->w.s, 101, &d);
}

static int resolve(struct run *x, uint32_t lo, uint32_t hi, struct store_set *ret)
{
	struct store_range r = {lo, hi};
	return store_view_resolve(x->v, &r, 1, true, &x->w.arena, ret, &x->w.why);
}

static int flags(struct run *x, uint32_t lo, uint32_t hi, uint32_t bits)
{
	struct store_set set;
	struct str word = STR("$Later");
	struct store_flagset f = {.bits = bits, .keywords = &word, .n_keywords = 1};
	AUTO(store_flags_result) struct store_flags_result res = STORE_FLAGS_RESULT_INIT;
	int r = resolve(x, lo, hi, &set);
	return r < 0 ? r : store_view_store(x->v, &set, STORE_FLAGS_ADD, &f, NULL, &res, &x->w.why);
}

static int flag_some(struct run *x)
{
	return flags(x, 1, 2, STORE_SEEN | STORE_FLAGGED);
}

static int copy_some(struct run *x)
{
	struct store_set set;
	AUTO(store_copy_result) struct store_copy_result res = STORE_COPY_RESULT_INIT;
	int r = resolve(x, 1, 2, &set);
	return r < 0 ? r : store_view_copy(x->v, &set, STR("Trash"), NULL, &res, &x->w.why);
}

static int mark_deleted(struct run *x)
{
	return flags(x, 2, 3, STORE_DELETED);
}

static int expunge(struct run *x)
{
	return store_view_expunge(x->v, NULL, NULL, &x->w.why);
}

static int sync_now(struct run *x)
{
	const struct store_changes *c;
	int r = store_view_sync(x->v, STORE_SYNC_EXPUNGE, &c, &x->w.why);
	return r < 0 ? r : 0;
}

static int move_one(struct run *x)
{
	struct store_set set;
	AUTO(store_copy_result) struct store_copy_result res = STORE_COPY_RESULT_INIT;
	int r = resolve(x, 1, 1, &set);
	return r < 0 ? r : store_view_move(x->v, &set, STR("Archive"), &res, &x->w.why);
}

static int replace_one(struct run *x)
{
	AUTO(store_body) struct store_body b = STORE_BODY_INIT;
	struct store_append_message m = {.content = {.file = &b, .verify = true},
					 .internaldate = {6}};
	struct store_append a = {.account = ALICE, .mailbox = STR("INBOX"), .messages = &m, .n = 1};
	struct store_append_result res;
	struct store_set all;
	int r = make_body(x, &b, 'h');
	if (r == 0)
		r = store_view_all(x->v, &x->w.arena, &all, &x->w.why);
	return r < 0 ? r : store_view_replace(x->v, all.runs[all.n - 1].last, &a, &res, &x->w.why);
}

static int checkpoint(struct run *x)
{
	int r = store_maintain(x->w.s, &x->w.why);
	return r < 0 ? r : 0;
}

static int drop_mailbox(struct run *x)
{
	return store_mailbox_delete(x->w.s, ALICE, STR("new/folder"), &x->w.why);
}

static int purge(struct run *x)
{
	struct store_purge_result p;
	return store_purge(x->w.s, ALICE, (struct wall_us){INT64_MAX}, 100, &p, &x->w.why);
}

static int (*const steps[])(struct run *x) = {
	sync_now,    append_inline, deliver_small, deliver_again, append_file, sync_now, flag_some,
	copy_some,   deliver_file,  checkpoint,	   mark_deleted,  expunge,     sync_now, move_one,
	replace_one, drop_mailbox,  append_inline, sync_now,	  purge,
};

/* ---- what the account looks like ----------------------------------------------------------- */

static void describe_mailbox(struct world *w, const struct store_mailbox *m, struct buf *out)
{
	struct store_set set;
	struct store_message msg;
	AUTO(store_view) struct store_view *v = NULL;
	AUTO(store_reader) struct store_reader *r = NULL;
	OK(store_view_open(w->s, ALICE, m->name, true, &v, &w->why));
	OK(store_view_all(v, &w->arena, &set, &w->why));
	OK(store_read_begin(v, &set, STORE_COL_DATES, (struct modseq){0}, &r, &w->why));
	buf_addf(out, "%.*s: next %u unseen %u;", STR_ARG(m->name), m->counters.uidnext.v,
		 m->counters.unseen);
	while (store_read_next(r, &msg, &w->why) > 0)
		buf_addf(out, " %u:%llx:%u", msg.uid.v,
			 (unsigned long long)(msg.flags & ~(uint64_t)STORE_RECENT), msg.size);
	buf_addc(out, '\n');
}

static void describe(struct world *w, struct buf *out)
{
	struct store_mailboxes l;
	buf_reset(out);
	OK(store_mailbox_list(w->s, ALICE, &w->arena, &l, &w->why));
	for (size_t i = 0; i < l.n; i++)
		if (!l.p[i].missing)
			describe_mailbox(w, &l.p[i], out);
	OK(store_check(w->s, ALICE, &w->why));
}

/* After a sweep: names in the blob tree are those that rows have. Two numbers, because a step like
 * purge shows in nothing else. */
static void check_names(struct world *w, unsigned want, unsigned or_this)
{
	int more = 1;
	for (unsigned i = 0; i < 400 && more > 0; i++)
		OK(more = store_maintain(w->s, &w->why));
	unsigned n = count_names(w);
	assert_true(n == want || n == or_this);
}

/* ---- beginnings ---------------------------------------------------------------------------- */

static struct testdir template;
static struct testdir work;
static struct buf states[MAX_STEPS + 1];
static unsigned names_after[MAX_STEPS + 1];
static uint32_t inbox_uidvalidity;

static void copy_file(const char *from, const char *to)
{
	static char piece[65536];
	AUTO_FD int in = open(from, O_RDONLY | O_CLOEXEC);
	AUTO_FD int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ssize_t n;
	assert_true(in >= 0 && out >= 0);
	while ((n = read(in, piece, sizeof piece)) > 0)
		assert_int_equal(write(out, piece, (size_t)n), n);
}

static int copy_name(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	char to[400];
	(void)st;
	if (ftw->level == 0)
		return 0;
	(void)snprintf(to, sizeof to, "%s%s", work.path, path + strlen(template.path));
	if (flag == FTW_D)
		(void)mkdir(to, 0700);
	else
		copy_file(path, to);
	return 0;
}

static void start_over(void)
{
	work = testdir_new();
	assert_int_equal(nftw(template.path, copy_name, 16, FTW_PHYS), 0);
}

static void prepare(struct run *x, struct fs *fs)
{
	*x = (struct run){0};
	struct world *w = &x->w;
	w->dir = work;
	(void)snprintf(w->root, sizeof w->root, "%s/store", work.path);
	(void)snprintf(w->blobs, sizeof w->blobs, "%s/blob", work.path);
	w->o = (struct store_options){.root = w->root,
				      .blobs = w->blobs,
				      .fs = fs,
				      .partitions = 1,
				      .committers = 1,
				      .wal_bytes = 1,
				      .no_background = true};
	w->arena = ARENA_INIT(MIB(64));
}

static void finish(struct run *x)
{
	store_view_close(x->v);
	store_close(x->w.s);
	arena_clear(&x->w.arena);
	x->v = NULL;
	x->w.s = NULL;
}

static int open_run(struct run *x)
{
	int r = store_open(&x->w.o, &x->w.s, &x->w.why);
	return r < 0 ? r : store_view_open(x->w.s, ALICE, STR("INBOX"), true, &x->v, &x->w.why);
}

/* The session that makes the changes may write. */
static int open_session(struct run *x)
{
	int r = x->w.s ? 0 : store_open(&x->w.o, &x->w.s, &x->w.why);
	return r < 0 ? r : store_view_open(x->w.s, ALICE, STR("INBOX"), false, &x->v, &x->w.why);
}

static int make_template(void **state)
{
	struct run x;
	(void)state;
	template = testdir_new();
	work = template;
	prepare(&x, NULL);
	world_open(&x.w);
	assert_ok(store_account_ensure(x.w.s, ALICE, store_default_folders, &x.w.why), &x.w.why);
	assert_int_equal(append_inline(&x), 0);
	assert_int_equal(append_file(&x), 0);
	finish(&x);
	start_over();
	prepare(&x, NULL);
	assert_ok(open_session(&x), &x.w.why);
	inbox_uidvalidity = store_view_get_info(x.v)->uidvalidity;
	for (size_t i = 0; i <= ARRAY_LEN(steps); i++) {
		if (i > 0)
			assert_ok(steps[i - 1](&x), &x.w.why);
		states[i] = BUF_INIT(KIB(64));
		describe(&x.w, &states[i]);
		names_after[i] = count_names(&x.w);
	}
	finish(&x);
	testdir_remove(&work);
	return 0;
}

static int drop_template(void **state)
{
	(void)state;
	testdir_remove(&template);
	for (size_t i = 0; i <= ARRAY_LEN(steps); i++)
		buf_clear(&states[i]);
	return 0;
}

/* ---- power cuts ---------------------------------------------------------------------------- */

/* How many steps were answered before the power went; *fired false: it did not go. */
static size_t run_until_cut(uint64_t nth, enum fs_cut_mode mode, bool *fired)
{
	struct fs_fault *f = fs_fault_new(work.path, nth);
	struct run x;
	size_t done = 0;
	fs_fault_add(f, &(struct fs_fault_rule){.nth = nth, .what = FS_FAULT_CUT, .cut = mode});
	prepare(&x, fs_fault_fs(f));
	if (open_session(&x) == 0)
		while (done < ARRAY_LEN(steps) && steps[done](&x) == 0)
			done++;
	*fired = fs_fault_fired(f);
	finish(&x);
	fs_fault_free(f);
	return done;
}

static void check_after_cut(uint64_t nth, size_t done)
{
	struct run x;
	AUTO(buf) struct buf now = BUF_INIT(KIB(64));
	prepare(&x, NULL);
	int r = open_run(&x);
	if (r < 0)
		fail_msg("cut at call %llu: %s", (unsigned long long)nth, x.w.why.detail);
	assert_int_equal(store_view_get_info(x.v)->uidvalidity, inbox_uidvalidity);
	describe(&x.w, &now);
	size_t next = MIN(done + 1, ARRAY_LEN(steps));
	bool whole = str_eq(buf_str(&now), buf_str(&states[next]));
	bool before = str_eq(buf_str(&now), buf_str(&states[done]));
	if (!whole && !before)
		fail_msg("cut at call %llu, after step %zu:\n%s\nis neither\n%s\nnor\n%s",
			 (unsigned long long)nth, done, buf_c(&now), buf_c(&states[done]),
			 buf_c(&states[next]));
	check_names(&x.w, names_after[before ? done : next], names_after[whole ? next : done]);
	/* and the next message gets a UID that nobody was told before */
	assert_ok(append_inline(&x), &x.w.why);
	finish(&x);
}

static void cut_everywhere(enum fs_cut_mode mode)
{
	bool fired = true;
	uint64_t n = 0;
	while (fired) {
		start_over();
		size_t done = run_until_cut(++n, mode, &fired);
		check_after_cut(n, done);
		testdir_remove(&work);
	}
	assert_true(n > MANY_CALLS);
}

static void test_cut_drop(void **state)
{
	(void)state;
	cut_everywhere(FS_CUT_DROP);
}

static void test_cut_torn(void **state)
{
	(void)state;
	cut_everywhere(FS_CUT_TORN);
}

static void test_cut_keep(void **state)
{
	(void)state;
	cut_everywhere(FS_CUT_KEEP);
}

/* ---- errors -------------------------------------------------------------------------------- */

/* One call fails; the step may fail, cleanly; the same step works afterwards. */
static bool run_with_error(uint64_t nth, enum fs_fault_what what)
{
	struct fs_fault *f = fs_fault_new(work.path, nth);
	AUTO(buf) struct buf now = BUF_INIT(KIB(64));
	struct run x;
	unsigned failures = 0;
	fs_fault_add(f, &(struct fs_fault_rule){.nth = nth, .what = what});
	prepare(&x, fs_fault_fs(f));
	while (open_session(&x) < 0)
		assert_true(++failures < 3);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		while (steps[i](&x) < 0) {
			if (++failures > 3)
				fail_msg("error at call %llu: step %zu does not recover: %s",
					 (unsigned long long)nth, i, x.w.why.detail);
			describe(&x.w, &now);
			if (str_eq(buf_str(&now), buf_str(&states[i + 1])) &&
			    !str_eq(buf_str(&now), buf_str(&states[i])))
				break; /* it had happened: nobody knew */
			assert_string_equal(buf_c(&now), buf_c(&states[i]));
		}
		if (!fs_fault_fired(f))
			continue; /* looking would meet the fault */
		describe(&x.w, &now);
		if (!str_eq(buf_str(&now), buf_str(&states[i + 1])))
			fail_msg("error at call %llu, step %zu:\n%s\nis not\n%s",
				 (unsigned long long)nth, i, buf_c(&now), buf_c(&states[i + 1]));
	}
	bool fired = fs_fault_fired(f);
	finish(&x);
	fs_fault_free(f);
	prepare(&x, NULL);
	assert_ok(open_run(&x), &x.w.why);
	describe(&x.w, &now);
	assert_string_equal(buf_c(&now), buf_c(&states[ARRAY_LEN(steps)]));
	check_names(&x.w, names_after[ARRAY_LEN(steps)], names_after[ARRAY_LEN(steps)]);
	finish(&x);
	return fired;
}

static void fail_everywhere(enum fs_fault_what what)
{
	bool fired = true;
	uint64_t n = 0;
	while (fired) {
		start_over();
		fired = run_with_error(++n, what);
		testdir_remove(&work);
	}
	assert_true(n > MANY_CALLS);
}

static void test_eio(void **state)
{
	(void)state;
	fail_everywhere(FS_FAULT_EIO);
}

static void test_enospc(void **state)
{
	(void)state;
	fail_everywhere(FS_FAULT_ENOSPC);
}

static void test_short_write(void **state)
{
	(void)state;
	fail_everywhere(FS_FAULT_SHORT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut_drop), cmocka_unit_test(test_cut_torn),
		cmocka_unit_test(test_cut_keep), cmocka_unit_test(test_eio),
		cmocka_unit_test(test_enospc),	 cmocka_unit_test(test_short_write),
	};
	return cmocka_run_group_tests(tests, make_template, drop_template);
}

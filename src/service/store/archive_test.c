/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive_test.c - files that stand still, what is read of them, what a restore changes; imports.
 */
#include "runtime/db/db.h"
#include "service/store/archive.h"
#include "service/store/store_int.h"
#include "service/store/store_testing.h"
#include <fcntl.h>
#include <sys/stat.h>

static int set_up(void **state)
{
	*state = world_new(STORE_SQLITE);
	return 0;
}

static int tear_down(void **state)
{
	world_free(*state);
	return 0;
}

static unsigned place(void)
{
	return (unsigned)store_place(ALICE, 2);
}

static void copy(struct world *w, int fd, const char *name, char path[200])
{
	char piece[4096];
	ssize_t n;
	off_t at = 0;
	(void)snprintf(path, 200, "%s/%s", w->dir.path, name);
	AUTO_FD int out = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(out >= 0);
	for (; (n = pread(fd, piece, sizeof piece, at)) > 0; at += n)
		assert_int_equal(write(out, piece, (size_t)n), n);
}

/* A copy of ALICE's partition as it is now. */
static void snapshot(struct world *w, char path[200])
{
	AUTO_FD int fd = -1;
	uint64_t size;
	OK(store_snapshot(w->s, place(), &fd, &size, &w->why));
	copy(w, fd, "copy.db", path);
	OK(store_snapshot_end(w->s, place(), &w->why));
}

struct seen {
	unsigned messages, files, bad;
	uint32_t uids[16];
	uint32_t uidvalidity;
	struct mailbox_id inbox;
	char keywords[100];
};

static int take_mailbox(void *arg, const struct store_archive_mailbox *m)
{
	struct seen *s = arg;
	if (str_eq(m->name, STR("INBOX"))) {
		s->inbox = m->id;
		s->uidvalidity = m->uidvalidity;
	}
	return 0;
}

static int take_message(void *arg, const struct store_archive_message *m)
{
	struct seen *s = arg;
	if (s->messages < ARRAY_LEN(s->uids))
		s->uids[s->messages] = m->uid;
	s->messages++;
	(void)snprintf(s->keywords, sizeof s->keywords, "%.*s", STR_ARG(m->keywords));
	return 0;
}

static int take_file(void *arg, const struct store_archive_file *f)
{
	((struct seen *)arg)->files++;
	assert_int_equal(f->account.v, ALICE.v);
	assert_int_equal(f->size, 100000);
	return 0;
}

static void take_bad(void *arg, struct account_id account, const char *what)
{
	(void)account;
	(void)what;
	((struct seen *)arg)->bad++;
}

static struct seen look(struct world *w, struct store_archive *a)
{
	struct seen s = {0};
	OK(store_archive_mailboxes(a, ALICE, take_mailbox, &s, &w->why));
	OK(store_archive_messages(a, ALICE, s.inbox, take_message, &s, &w->why));
	OK(store_archive_files(a, ALICE, take_file, &s, &w->why));
	return s;
}

static void the_file_stands_still(void **state)
{
	struct world *w = *state;
	AUTO_FD int fd = -1, other = -1;
	uint64_t size;
	char path[200];
	AUTO(store_archive) struct store_archive *a = NULL;
	put_to(w, "INBOX", "one", 0);
	OK(store_snapshot(w->s, place(), &fd, &size, &w->why));
	FAILS(store_snapshot(w->s, place(), &other, &size, &w->why), FAIL_BUSY);
	FAILS(store_snapshot(w->s, 7, &other, &size, &w->why), FAIL_PERM);
	w->s->o.wal_bytes = w->s->o.wal_bytes_total = 1; /* everything is over the budget */
	for (int i = 0; i < 50; i++) {
		put_to(w, "INBOX", "later", 0);
		OK(store_maintain(w->s, &w->why));
	}
	copy(w, fd, "still.db", path);
	OK(store_archive_open(path, STORE_ARCHIVE_FROZEN, &a, &w->why));
	assert_int_equal(look(w, a).messages, 1);
	OK(store_snapshot_end(w->s, place(), &w->why));
	FAILS(store_snapshot_end(w->s, place(), &w->why), FAIL_CONFLICT);
}

static void bodies_keep_their_names(void **state)
{
	struct world *w = *state;
	AUTO(store_body) struct store_body b = body_of(w, 100000, 'x');
	struct store_append_message m = {.content = {.file = &b, .map = STR("map")}};
	struct store_append a = {.account = ALICE, .mailbox = STR("INBOX"), .messages = &m, .n = 1};
	struct store_append_result res;
	struct store_purge_result gone;
	OK(store_append(w->s, &a, &res, &w->why));
	unsigned before = count_names(w);
	store_keep_bodies(w->s, true);
	struct store_view *v = view_of(w, "INBOX");
	flag(w, v, res.first.v, STORE_FLAGS_ADD, STORE_DELETED);
	OK(store_view_expunge(v, NULL, NULL, &w->why));
	store_view_close(v);
	OK(store_purge(w->s, ALICE, (struct wall_us){INT64_MAX}, 100, &gone, &w->why));
	assert_int_equal(gone.bodies, 1);
	assert_int_equal(count_names(w), before);
	for (int i = 0; i < 600; i++)
		OK(store_maintain(w->s, &w->why));
	assert_int_equal(count_names(w), before);
	store_keep_bodies(w->s, false);
	for (int i = 0; i < 600; i++)
		OK(store_maintain(w->s, &w->why));
	assert_int_equal(count_names(w), before - 1);
}

static void what_an_archive_tells(void **state)
{
	struct world *w = *state;
	char path[200], one[220];
	struct seen s;
	AUTO(store_archive) struct store_archive *a = NULL;
	AUTO(store_archive) struct store_archive *extract = NULL;
	AUTO(store_body) struct store_body b = body_of(w, 100000, 'x');
	struct str keyword = STR("$Label1");
	struct store_append_message m = {.content = {.file = &b, .map = STR("map")},
					 .flags = {.keywords = &keyword, .n_keywords = 1}};
	struct store_append app = {
		.account = ALICE, .mailbox = STR("INBOX"), .messages = &m, .n = 1};
	struct store_append_result res;
	OK(store_account_ensure(w->s, (struct account_id){1003}, store_default_folders, &w->why));
	put_to(w, "INBOX", "one", 0);
	OK(store_append(w->s, &app, &res, &w->why));
	put_to(w, "Sent", "two", 0);
	snapshot(w, path);
	OK(store_archive_open(path, STORE_ARCHIVE_PRIVATE, &a, &w->why));
	s = look(w, a);
	assert_int_equal(s.messages, 2);
	assert_int_equal(s.files, 1);
	assert_string_equal(s.keywords, "$Label1");
	assert_int_equal(store_archive_check(a, take_bad, &s, &w->why), 0);
	(void)snprintf(one, sizeof one, "%s.one", path);
	FAILS(store_archive_extract(a, path, ALICE, STR("none"), one, &w->why), FAIL_NOTFOUND);
	FAILS(store_archive_extract(a, path, (struct account_id){77}, STR(""), one, &w->why),
	      FAIL_NOTFOUND);
	OK(store_archive_extract(a, path, ALICE, STR("INBOX"), one, &w->why));
	OK(store_archive_open(one, STORE_ARCHIVE_PRIVATE, &extract, &w->why));
	s = look(w, extract);
	assert_int_equal(s.messages, 2);
	assert_int_equal(store_archive_check(extract, take_bad, &s, &w->why), 0);
}

static bool second_is_pending(void *arg, uint64_t number, uint64_t rcpt)
{
	(void)arg;
	return number == 2 && rcpt == 0;
}

/* After a restore: a delivery that will be repeated is known, a number given again is not. */
static void receipts_follow_the_spool(void **state)
{
	struct world *w = *state;
	char part[240];
	struct waiting one = {0}, two = {0}, x = {0};
	struct store_mailbox before, after;
	struct store_usage usage;
	static const char fresh[] = "fedcba9876543210";
	OK(deliver_one(w->s, 1, &one));
	OK(deliver_one(w->s, 2, &two));
	OK(store_mailbox_find(w->s, ALICE, STR("INBOX"), &w->arena, &before, &w->why));
	store_close(w->s);
	w->s = NULL;
	(void)snprintf(part, sizeof part, "%s/part-%03u.db", w->root, place());
	{
		AUTO(store_archive) struct store_archive *a = NULL;
		OK(store_archive_open(part, STORE_ARCHIVE_PRIVATE, &a, &w->why));
		struct store_archive_raise how = {.now = {INT64_C(4000000000) * SEC_US},
						  .old_spool =
							  (const unsigned char *)"0123456789abcdef",
						  .new_spool = (const unsigned char *)fresh,
						  .pending = second_is_pending};
		OK(store_archive_raise(a, &how, &w->why));
	}
	world_open(w);
	OK(store_check(w->s, ALICE, &w->why));
	OK(store_mailbox_find(w->s, ALICE, STR("INBOX"), &w->arena, &after, &w->why));
	assert_true(after.counters.uidvalidity > 4000000000u);
	assert_true(after.counters.uidvalidity > before.counters.uidvalidity);
	OK(store_account_usage(w->s, ALICE, &usage, &w->why));
	assert_true(usage.epoch >= UINT64_C(4000000000000000));
	for (uint64_t number = 1; number <= 3; number++) {
		x = (struct waiting){0};
		sem_init(&x.done, 0, 0);
		memcpy(x.d.receipt.epoch, fresh, 16);
		x.d.receipt.number = number;
		x.d.done = delivery_done;
		x.d.user = &x;
		x.d.account = ALICE;
		x.d.content.bytes = STR("Subject: hello\r\n\r\nbody\r\n");
		store_deliver(w->s, &x.d);
		OK(deliver_end(&x));
		assert_int_equal(x.d.repeated, number == 2);
	}
}

static uint64_t numbered(const char *part, const char *table)
{
	AUTO(db) struct db *db = NULL;
	struct fail why = FAIL_INIT;
	char sql[100];
	uint64_t n = 0;
	struct db_options o = {.path = part};
	assert_int_equal(db_open(&o, &db, &why), 0);
	(void)snprintf(sql, sizeof sql, "SELECT seq FROM sqlite_sequence WHERE name = '%s'", table);
	assert_int_equal(db_number(db, sql, &n, &why), 0);
	return n;
}

/* The lost server gave the first ids after the copy was made: they are not given again. */
static void ids_leap_in_an_empty_partition(void **state)
{
	struct world *w = *state;
	char part[240];
	(void)snprintf(part, sizeof part, "%s/part-%03u.db", w->root, place());
	store_close(w->s);
	w->s = NULL;
	{
		AUTO(store_archive) struct store_archive *a = NULL;
		OK(store_archive_open(part, STORE_ARCHIVE_PRIVATE, &a, &w->why));
		struct store_archive_raise how = {.now = {INT64_C(4000000000) * SEC_US},
						  .old_spool = (const unsigned char[16]){0},
						  .new_spool = (const unsigned char[16]){0},
						  .pending = second_is_pending};
		OK(store_archive_raise(a, &how, &w->why));
	}
	assert_true(numbered(part, "message") >= UINT64_C(1) << 40);
	assert_true(numbered(part, "body") >= UINT64_C(1) << 40);
	world_open(w);
}

/* ---- imports ---- */

static struct store_import_result import(struct world *w, const char *mailbox, uint32_t validity,
					 uint32_t uid, const char *key, uint32_t *given)
{
	struct store_import_message m = {
		.message = {.content = {.bytes = STR("Subject: x\r\n\r\n"), .map = STR("map")}},
		.uid = uid,
		.keyed = key != NULL};
	if (key)
		memcpy(m.key.epoch, key, MIN(strlen(key), sizeof m.key.epoch));
	struct store_import in = {.account = ALICE,
				  .mailbox = str_c(mailbox),
				  .uidvalidity = validity,
				  .uidnext = uid + 10,
				  .messages = &m,
				  .n = 1};
	struct store_import_result res;
	OK(store_import(w->s, &in, &res, &w->why));
	*given = m.given.v;
	return res;
}

/* A mailbox that was deleted gave UIDs that the source does not know: none of them comes again. */
static void an_import_again_has_new_uids(void **state)
{
	struct world *w = *state;
	struct mailbox_id id;
	uint32_t uid;
	for (unsigned i = 0; i < 2; i++) {
		const char *key = i == 0 ? "x" : NULL; /* what is known of it, or only its end */
		const char *name = i == 0 ? "Renamed" : "Deleted";
		OK(store_mailbox_create(w->s, ALICE, str_c(name), 0, &id, &w->why));
		assert_true(import(w, name, 88 + i, 5, key, &uid).adopted);
		assert_int_equal(put_to(w, name, "new", 0), 15);
		if (i == 0)
			OK(store_mailbox_rename(w->s, ALICE, str_c(name), STR("Away"), &w->why));
		else
			OK(store_mailbox_delete(w->s, ALICE, str_c(name), &w->why));
		OK(store_mailbox_create(w->s, ALICE, str_c(name), 0, &id, &w->why));
		struct store_import_result res = import(w, name, 88 + i, 5, key, &uid);
		assert_false(res.adopted);
		assert_true(res.uidvalidity != 88 + i);
	}
	OK(store_check(w->s, ALICE, &w->why));
}

static void imports_keep_uids(void **state)
{
	struct world *w = *state;
	uint32_t uid;
	struct store_import_result res = import(w, "Sent", 77, 500, "a", &uid);
	assert_true(res.adopted);
	assert_int_equal(res.uidvalidity, 77);
	assert_int_equal(uid, 500);
	assert_int_equal(res.uidnext, 510);
	/* The same again: nothing. Another: its own UID, or the next when that is taken. */
	(void)import(w, "Sent", 77, 500, "a", &uid);
	assert_int_equal(uid, 0);
	(void)import(w, "Sent", 77, 600, "b", &uid);
	assert_int_equal(uid, 600);
	(void)import(w, "Sent", 77, 550, "c", &uid);
	assert_int_equal(uid, 610);
	assert_int_equal(put_to(w, "Sent", "new", 0), 611);
	OK(store_check(w->s, ALICE, &w->why));
	/* A mailbox that held something, or is looked at, stays what it was. */
	uint32_t first = put_to(w, "INBOX", "one", 0);
	res = import(w, "INBOX", 77, 500, "d", &uid);
	assert_false(res.adopted);
	assert_int_equal(uid, first + 1);
	struct store_view *v = view_of(w, "Drafts");
	assert_false(import(w, "Drafts", 77, 500, "e", &uid).adopted);
	store_view_close(v);
	OK(store_check(w->s, ALICE, &w->why));
}

static void expunged_messages_come_back(void **state)
{
	struct world *w = *state;
	struct store_lost *lost;
	size_t n;
	uint32_t back;
	put_to(w, "INBOX", "stays", 0);
	put_to(w, "INBOX", "goes", STORE_FLAGGED | STORE_DELETED);
	put_to(w, "Sent", "goes with its mailbox", 0);
	struct store_view *v = view_of(w, "INBOX");
	OK(store_view_expunge(v, NULL, NULL, &w->why));
	store_view_close(v);
	OK(store_mailbox_delete(w->s, ALICE, STR("Sent"), &w->why));
	OK(store_lost_list(w->s, ALICE, &(struct store_lost_when){{0}, {0}}, &w->arena, &lost, &n,
			   &w->why));
	assert_int_equal(n, 2);
	for (size_t i = 0; i < n; i++) {
		struct store_undelete u = {
			.account = ALICE, .mailbox = lost[i].mailbox, .target = STR("INBOX")};
		assert_int_equal(lost[i].messages, 1);
		OK(store_undelete(w->s, &u, &back, &w->why));
		assert_int_equal(back, 1);
		OK(store_undelete(w->s, &u, &back, &w->why));
		assert_int_equal(back, 0);
	}
	OK(store_lost_list(w->s, ALICE, &(struct store_lost_when){{0}, {0}}, &w->arena, &lost, &n,
			   &w->why));
	assert_int_equal(n, 0);
	OK(store_check(w->s, ALICE, &w->why));
	v = view_of(w, "INBOX");
	assert_string_equal(uids_of(w, v), "1 3 4");
	store_view_close(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_file_stands_still, set_up, tear_down),
		cmocka_unit_test_setup_teardown(bodies_keep_their_names, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_an_archive_tells, set_up, tear_down),
		cmocka_unit_test_setup_teardown(receipts_follow_the_spool, set_up, tear_down),
		cmocka_unit_test_setup_teardown(ids_leap_in_an_empty_partition, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_import_again_has_new_uids, set_up, tear_down),
		cmocka_unit_test_setup_teardown(imports_keep_uids, set_up, tear_down),
		cmocka_unit_test_setup_teardown(expunged_messages_come_back, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

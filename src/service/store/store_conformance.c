/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_conformance.c - what every engine must do, run by store_test.c for each of them.
 */
#include "service/store/store_testing.h"
#include "sys/clock.h"

/* ---- accounts and mailboxes ---------------------------------------------------------------- */

static const struct store_mailbox *named(const struct store_mailboxes *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (str_eq(l->p[i].name, str_c(name)))
			return &l->p[i];
	return NULL;
}

static struct store_mailboxes list(struct world *w)
{
	struct store_mailboxes l;
	OK(store_mailbox_list(w->s, ALICE, &w->arena, &l, &w->why));
	return l;
}

static struct store_counters status(struct world *w, const char *name)
{
	struct store_mailbox m;
	OK(store_mailbox_find(w->s, ALICE, str_c(name), &w->arena, &m, &w->why));
	return m.counters;
}

static int create(struct world *w, const char *name)
{
	return store_mailbox_create(w->s, ALICE, str_c(name), 0, NULL, &w->why);
}

static int drop(struct world *w, const char *name)
{
	return store_mailbox_delete(w->s, ALICE, str_c(name), &w->why);
}

static int rename_to(struct world *w, const char *from, const char *to)
{
	return store_mailbox_rename(w->s, ALICE, str_c(from), str_c(to), &w->why);
}

static void test_account(void **state)
{
	struct world *w = *state;
	struct store_usage u;
	struct account_id nobody = {77};
	FAILS(store_account_usage(w->s, nobody, &u, &w->why), FAIL_NOTFOUND);
	FAILS(store_account_usage(w->s, (struct account_id){0}, &u, &w->why), FAIL_PERM);
	OK(store_account_usage(w->s, ALICE, &u, &w->why));
	assert_int_equal(u.messages, 0);
	struct store_mailboxes l = list(w);
	assert_int_equal(l.n, 6);
	assert_str(l.p[0].name, "INBOX");
	assert_str(l.p[1].name, "Archive");
	assert_int_equal(named(&l, "Sent")->use, STORE_USE_SENT);
	assert_true(named(&l, "Trash")->subscribed);
	/* a deleted folder stays deleted */
	OK(drop(w, "Archive"));
	OK(store_account_ensure(w->s, ALICE, store_default_folders, &w->why));
	l = list(w);
	assert_true(named(&l, "Archive")->missing);
	OK(store_check(w->s, ALICE, &w->why));
}

static void test_create(void **state)
{
	struct world *w = *state;
	OK(create(w, "Work/2026/May/"));
	struct store_mailboxes l = list(w);
	assert_true(named(&l, "Work")->has_children && !named(&l, "Work")->noselect);
	assert_true(named(&l, "Work/2026")->has_children);
	assert_false(named(&l, "Work/2026/May")->has_children);
	assert_false(named(&l, "Work")->subscribed);
	FAILS(create(w, "Work"), FAIL_EXISTS);
	FAILS(create(w, "inBOX"), FAIL_EXISTS);
	OK(create(w, "inbox/sub"));
	l = list(w);
	assert_non_null(named(&l, "INBOX/sub"));
	assert_int_equal(status(w, "Inbox").exists, 0);
	OK(store_check(w->s, ALICE, &w->why));
}

static void test_names(void **state)
{
	struct world *w = *state;
	static const struct {
		const char *name;
		enum fail_code code;
	} cases[] = {
		{"", FAIL_SYNTAX},	{"/", FAIL_SYNTAX},	{"a//b", FAIL_SYNTAX},
		{"/a", FAIL_SYNTAX},	{"a\x01", FAIL_SYNTAX}, {"\xff\xfe", FAIL_SYNTAX},
		{"a\x7f", FAIL_SYNTAX},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		FAILS(create(w, cases[i].name), cases[i].code);
	char text[2 * STORE_NAME_MAX];
	memset(text, 'x', sizeof text);
	text[STORE_NAME_MAX + 1] = '\0';
	FAILS(create(w, text), FAIL_LIMIT);
	text[STORE_NAME_MAX] = '\0';
	OK(create(w, text));
	for (unsigned i = 0; i <= STORE_DEPTH_MAX; i++)
		memcpy(text + 2 * i, "d/", 2);
	text[2 * STORE_DEPTH_MAX + 1] = '\0';
	FAILS(create(w, text), FAIL_LIMIT);
	OK(create(w, "Entw\xc3\xbcrfe"));
	struct store_mailbox m;
	FAILS(store_mailbox_find(w->s, ALICE, STR("nope"), &w->arena, &m, &w->why), FAIL_NOTFOUND);
	FAILS(store_mailbox_find(w->s, ALICE, STR("a//b"), &w->arena, &m, &w->why), FAIL_NOTFOUND);
}

/* RFC 3501 6.3.4, the examples */
static void test_delete(void **state)
{
	struct world *w = *state;
	OK(create(w, "foo/bar"));
	put_to(w, "foo", "x", 0);
	struct store_counters before = status(w, "foo");
	OK(drop(w, "foo"));
	struct store_mailboxes l = list(w);
	assert_true(named(&l, "foo")->noselect && named(&l, "foo")->has_children);
	FAILS(drop(w, "foo"), FAIL_CONFLICT);
	struct store_view *v;
	FAILS(store_view_open(w->s, ALICE, STR("foo"), false, &v, &w->why), FAIL_NOTFOUND);
	OK(drop(w, "foo/bar"));
	l = list(w);
	assert_true(named(&l, "foo")->noselect);
	OK(create(w, "foo"));
	assert_true(status(w, "foo").uidvalidity > before.uidvalidity);
	assert_int_equal(status(w, "foo").exists, 0);
	OK(drop(w, "foo"));
	FAILS(drop(w, "foo"), FAIL_NOTFOUND);
	FAILS(drop(w, "INBOX"), FAIL_PERM);
	FAILS(drop(w, "a//b"), FAIL_NOTFOUND);
	OK(store_check(w->s, ALICE, &w->why));
}

static void test_rename(void **state)
{
	struct world *w = *state;
	OK(create(w, "a/b/c"));
	OK(create(w, "ab"));
	put_to(w, "a/b", "x", 0);
	struct store_counters before = status(w, "a/b");
	OK(rename_to(w, "a", "new/place"));
	struct store_mailboxes l = list(w);
	assert_null(named(&l, "a"));
	assert_non_null(named(&l, "ab"));
	assert_non_null(named(&l, "new"));
	assert_non_null(named(&l, "new/place/b/c"));
	assert_int_equal(status(w, "new/place/b").uidvalidity, before.uidvalidity);
	assert_int_equal(status(w, "new/place/b").exists, 1);
	FAILS(rename_to(w, "ab", "new"), FAIL_EXISTS);
	FAILS(rename_to(w, "nope", "x"), FAIL_NOTFOUND);
	FAILS(rename_to(w, "new", "new/place/deeper"), FAIL_CONFLICT);
	FAILS(rename_to(w, "ab", "x//y"), FAIL_SYNTAX);
	FAILS(rename_to(w, "ab", "inbox"), FAIL_EXISTS);
	OK(store_check(w->s, ALICE, &w->why));
}

/* RFC 3501 6.3.5: INBOX is left empty, its inferiors stay */
static void test_rename_inbox(void **state)
{
	struct world *w = *state;
	OK(create(w, "INBOX/sub"));
	put_to(w, "INBOX", "one", STORE_SEEN);
	put_to(w, "INBOX", "two", 0);
	struct store_view *v = view_of(w, "INBOX");
	uint32_t uidvalidity = status(w, "INBOX").uidvalidity;
	OK(rename_to(w, "INBOX", "old/mail"));
	assert_int_equal(status(w, "INBOX").exists, 0);
	assert_int_equal(status(w, "INBOX").uidvalidity, uidvalidity);
	assert_int_equal(status(w, "INBOX").uidnext.v, 3);
	assert_int_equal(status(w, "old/mail").exists, 2);
	assert_int_equal(status(w, "old/mail").unseen, 1);
	struct store_mailboxes l = list(w);
	assert_non_null(named(&l, "INBOX/sub"));
	assert_null(named(&l, "old/mail/sub"));
	assert_int_equal(sync_view(w, v, STORE_SYNC_EXPUNGE)->n_expunged, 2);
	store_view_close(v);
	OK(store_check(w->s, ALICE, &w->why));
}

static void test_subscribe(void **state)
{
	struct world *w = *state;
	OK(store_subscribe(w->s, ALICE, STR("later"), true, &w->why));
	OK(store_subscribe(w->s, ALICE, STR("later"), true, &w->why));
	struct store_mailboxes l = list(w);
	assert_true(named(&l, "later")->missing && named(&l, "later")->subscribed);
	OK(create(w, "later"));
	l = list(w);
	assert_true(!named(&l, "later")->missing && named(&l, "later")->subscribed);
	OK(store_subscribe(w->s, ALICE, STR("Sent"), false, &w->why));
	OK(store_subscribe(w->s, ALICE, STR("nothing"), false, &w->why));
	l = list(w);
	assert_false(named(&l, "Sent")->subscribed);
	assert_null(named(&l, "nothing"));
}

/* ---- APPEND and reading -------------------------------------------------------------------- */

static struct store_message read_one(struct world *w, struct store_view *v, uint32_t uid)
{
	struct store_set set = set_of(w, v, uid, uid, true);
	struct store_message m = {0};
	AUTO(store_reader) struct store_reader *r = NULL;
	OK(store_read_begin(v, &set, STORE_COL_PREFIX | STORE_COL_MAP, (struct modseq){0}, &r,
			    &w->why));
	assert_int_equal(store_read_next(r, &m, &w->why), 1);
	m.prefix = arena_str(&w->arena, m.prefix);
	m.map = arena_str(&w->arena, m.map);
	assert_int_equal(store_read_next(r, &(struct store_message){0}, &w->why), 0);
	return m;
}

static void test_append(void **state)
{
	struct world *w = *state;
	struct str words[] = {STR("$Important"), STR("todo")};
	struct store_append_message m[2] = {
		{.content = {.prefix = STR("P: 1\r\n"), .bytes = STR("first"), .map = STR("M1")},
		 .flags = {.bits = STORE_SEEN, .keywords = words, .n_keywords = 2},
		 .internaldate = {1234567}},
		{.content = {.bytes = STR("second")}, .flags = {.bits = STORE_DELETED}},
	};
	struct store_append a = {.account = ALICE, .mailbox = STR("INBOX"), .messages = m, .n = 2};
	struct store_append_result res;
	OK(store_append(w->s, &a, &res, &w->why));
	assert_int_equal(res.first.v, 1);
	struct store_counters c = status(w, "INBOX");
	assert_int_equal(c.exists, 2);
	assert_int_equal(c.unseen, 1);
	assert_int_equal(c.deleted, 1);
	assert_int_equal(c.recent, 2);
	assert_int_equal(c.size, 6 + 5 + 6);
	assert_int_equal(c.uidnext.v, 3);
	assert_int_equal(c.uidvalidity, res.uidvalidity);
	AUTO(store_view) struct store_view *v = view_of(w, "INBOX");
	struct store_message got = read_one(w, v, 1);
	assert_str(got.prefix, "P: 1\r\n");
	assert_str(got.map, "M1");
	assert_int_equal(got.internaldate.v, 1234567);
	assert_int_equal(got.size, 11);
	assert_int_equal(got.body_size, 5);
	assert_int_equal(got.flags, STORE_SEEN | STORE_RECENT | 1u << 6 | 1u << 7);
	size_t n;
	const struct str *names = store_view_get_keywords(v, &n);
	assert_int_equal(n, 2);
	assert_str(names[1], "todo");
	AUTO(store_source) struct store_source src = STORE_SOURCE_INIT;
	OK(store_body_open(v, &got, &w->arena, &src, &w->why));
	assert_str(src.bytes, "first");
	a.mailbox = STR("nowhere");
	FAILS(store_append(w->s, &a, &res, &w->why), FAIL_NOTFOUND);
	OK(store_check(w->s, ALICE, &w->why));
}

static void test_append_limits(void **state)
{
	struct world *w = *state;
	struct store_append_message m[2] = {{.content = {.bytes = STR("0123456789")}},
					    {.content = {.bytes = STR("0123456789")}}};
	struct store_append a = {.account = ALICE,
				 .mailbox = STR("INBOX"),
				 .messages = m,
				 .n = 2,
				 .quota = {.bytes = 19}};
	struct store_append_result res;
	FAILS(store_append(w->s, &a, &res, &w->why), FAIL_QUOTA);
	assert_int_equal(status(w, "INBOX").exists, 0);
	a.quota = (struct store_quota){.messages = 1};
	FAILS(store_append(w->s, &a, &res, &w->why), FAIL_QUOTA);
	a.quota = (struct store_quota){.bytes = 20, .messages = 2};
	OK(store_append(w->s, &a, &res, &w->why));
	AUTO_MEM char *big = xcalloc(1, STORE_INLINE_MAX + 1);
	m[1].content.bytes = str_make(big, STORE_INLINE_MAX + 1);
	a.quota = (struct store_quota){0};
	FAILS(store_append(w->s, &a, &res, &w->why), FAIL_TOOBIG);
	m[1].content.bytes.n--;
	OK(store_append(w->s, &a, &res, &w->why));
	OK(store_check(w->s, ALICE, &w->why));
}

static void test_keyword_limit(void **state)
{
	struct world *w = *state;
	char text[STORE_KEYWORDS_MAX + 1][8];
	struct str names[STORE_KEYWORDS_MAX + 1];
	for (unsigned i = 0; i <= STORE_KEYWORDS_MAX; i++) {
		(void)snprintf(text[i], sizeof text[i], "k%u", i);
		names[i] = str_c(text[i]);
	}
	put_to(w, "INBOX", "x", 0);
	AUTO(store_view) struct store_view *v = view_of(w, "INBOX");
	struct store_set all = set_of(w, v, 1, 1, true);
	struct store_flagset f = {.keywords = names, .n_keywords = STORE_KEYWORDS_MAX};
	AUTO(store_flags_result) struct store_flags_result res = STORE_FLAGS_RESULT_INIT;
	assert_true(store_view_keywords_open(v));
	OK(store_view_store(v, &all, STORE_FLAGS_ADD, &f, NULL, &res, &w->why));
	assert_true(res.rows[0].now.flags >> 63); /* the last bit is used */
	assert_false(store_view_keywords_open(v));
	store_flags_result_clear(&res);
	f.n_keywords++;
	FAILS(store_view_store(v, &all, STORE_FLAGS_REPLACE, &f, NULL, &res, &w->why), FAIL_LIMIT);
	f = (struct store_flagset){.keywords = (struct str[]){STR("K3")}, .n_keywords = 1};
	OK(store_view_store(v, &all, STORE_FLAGS_REPLACE, &f, NULL, &res, &w->why));
	assert_int_equal(res.rows[0].now.flags & ~(uint64_t)STORE_RECENT, 1u << 9);
	OK(store_check(w->s, ALICE, &w->why));
}

static void test_body_file(void **state)
{
	struct world *w = *state;
	AUTO(store_body) struct store_body b = body_of(w, 100000, 'x');
	struct store_append_message m = {
		.content = {.prefix = STR("P: 1\r\n"), .file = &b, .verify = true}};
	struct store_append a = {.account = ALICE, .mailbox = STR("INBOX"), .messages = &m, .n = 1};
	struct store_append_result res;
	OK(store_append(w->s, &a, &res, &w->why));
	OK(store_append(w->s, &a, &res, &w->why)); /* the same file again */
	AUTO(store_view) struct store_view *v = view_of(w, "INBOX");
	struct store_message got = read_one(w, v, 2);
	assert_int_equal(got.size, 100006);
	AUTO(store_source) struct store_source src = STORE_SOURCE_INIT;
	OK(store_body_open(v, &got, &w->arena, &src, &w->why));
	assert_true(src.fd >= 0);
	char c = 0;
	assert_int_equal(pread(src.fd, &c, 1, 99999), 1);
	assert_int_equal(c, 'x');
	OK(store_check(w->s, ALICE, &w->why));
	b.sha256[0] ^= 1;
	FAILS(store_append(w->s, &a, &res, &w->why), FAIL_CORRUPT);
	b.sealed = false;
	FAILS(store_append(w->s, &a, &res, &w->why), FAIL_BUG);
}

#include "service/store/store_conformance_extra.c"
#include "service/store/store_conformance_ids.c"
#include "service/store/store_conformance_past.c"
#include "service/store/store_conformance_share.c"
#include "service/store/store_conformance_views.c"

#define CONFORMANCE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define CONFORMANCE_TESTS                                                                          \
	CONFORMANCE(test_account), CONFORMANCE(test_create), CONFORMANCE(test_names),              \
		CONFORMANCE(test_delete), CONFORMANCE(test_rename),                                \
		CONFORMANCE(test_rename_inbox), CONFORMANCE(test_subscribe),                       \
		CONFORMANCE(test_append), CONFORMANCE(test_append_limits),                         \
		CONFORMANCE(test_keyword_limit), CONFORMANCE(test_body_file),                      \
		CONFORMANCE(test_sync), CONFORMANCE(test_store_result),                            \
		CONFORMANCE(test_store_of_many), CONFORMANCE(test_read_only),                      \
		CONFORMANCE(test_recent), CONFORMANCE(test_resolve), CONFORMANCE(test_copy),       \
		CONFORMANCE(test_move), CONFORMANCE(test_expunge_set),                             \
		CONFORMANCE(test_expunged_is_readable), CONFORMANCE(test_gone),                    \
		CONFORMANCE(test_account_delete), CONFORMANCE(test_export),                        \
		CONFORMANCE(test_warm), CONFORMANCE(test_watch), CONFORMANCE(test_vanished),       \
		CONFORMANCE(test_deliver), CONFORMANCE(test_deliver_batch),                        \
		CONFORMANCE(test_body_lives_as_long_as_needed), CONFORMANCE(test_random_clients),  \
		CONFORMANCE(test_threads), CONFORMANCE(test_thread_ends),                          \
		CONFORMANCE(test_saved_and_zone), CONFORMANCE(test_deleted_size),                  \
		CONFORMANCE(test_rows_in_any_order), CONFORMANCE(test_url_keys),                   \
		CONFORMANCE(test_url_keys_end), CONFORMANCE(test_replace),                         \
		CONFORMANCE(test_replace_refused), CONFORMANCE(test_acl),                          \
		CONFORMANCE(test_acl_of_new_mailboxes), CONFORMANCE(test_viewer_has_seen),         \
		CONFORMANCE(test_viewer_sleeps), CONFORMANCE(test_viewer_copies),                  \
		CONFORMANCE(test_viewer_rows_end), CONFORMANCE(test_taking_back),                  \
		CONFORMANCE(test_viewer_is_forgotten), CONFORMANCE(test_acl_of_another),           \
		CONFORMANCE(test_annotations), CONFORMANCE(test_annotation_limits),                \
		CONFORMANCE(test_uses), CONFORMANCE(test_past), CONFORMANCE(test_scripts),         \
		CONFORMANCE(test_script_limits)

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_conformance_share.c - part of store_conformance.c: lists of rights, and viewers whose \Seen
 * is their own.
 */
#include "service/store/store_acl.h"

#define BOB   ((struct account_id){2002})
#define CAROL ((struct account_id){3003})

static int acl_change(struct world *w, const char *mailbox, const char *who, enum store_acl_how how,
		      uint32_t rights)
{
	struct store_acl_change c = {.account = ALICE,
				     .mailbox = str_c(mailbox),
				     .identifier = str_c(who),
				     .how = how,
				     .rights = rights};
	return store_acl_change(w->s, &c, &w->why);
}

/* "bob 3, carol 4" */
static const char *acl_of(struct world *w, const char *mailbox)
{
	AUTO(buf) struct buf out = BUF_INIT(KIB(64));
	struct store_acl acl;
	OK(store_acl_get(w->s, ALICE, str_c(mailbox), &w->arena, &acl, &w->why));
	for (size_t i = 0; i < acl.n; i++)
		buf_addf(&out, "%s%.*s %u", i ? ", " : "", STR_ARG(acl.p[i].identifier),
			 acl.p[i].rights);
	return arena_c(&w->arena, buf_str(&out));
}

static void test_acl(void **state)
{
	struct world *w = *state;
	struct store_acl acl;
	assert_string_equal(acl_of(w, "INBOX"), "");
	OK(acl_change(w, "INBOX", "carol", STORE_ACL_SET, 4));
	OK(acl_change(w, "INBOX", "bob", STORE_ACL_ADD, 3));
	OK(acl_change(w, "Sent", "bob", STORE_ACL_SET, 0));
	assert_string_equal(acl_of(w, "inbox"), "bob 3, carol 4");
	OK(acl_change(w, "INBOX", "bob", STORE_ACL_ADD, 8));
	OK(acl_change(w, "INBOX", "bob", STORE_ACL_REMOVE, 1));
	OK(acl_change(w, "INBOX", "dave", STORE_ACL_REMOVE, 1));
	OK(acl_change(w, "INBOX", "dave", STORE_ACL_DELETE, 0));
	assert_string_equal(acl_of(w, "INBOX"), "bob 10, carol 4");
	OK(acl_change(w, "INBOX", "carol", STORE_ACL_DELETE, 0));
	assert_string_equal(acl_of(w, "INBOX"), "bob 10");
	assert_string_equal(acl_of(w, ""), "bob 10, bob 0");
	FAILS(acl_change(w, "nowhere", "bob", STORE_ACL_SET, 1), FAIL_NOTFOUND);
	FAILS(acl_change(w, "", "bob", STORE_ACL_SET, 1), FAIL_NOTFOUND);
	FAILS(store_acl_get(w->s, ALICE, STR("nowhere"), &w->arena, &acl, &w->why), FAIL_NOTFOUND);
	for (unsigned i = 0; i < STORE_ACL_MAX; i++) {
		char name[16];
		(void)snprintf(name, sizeof name, "u%u", i);
		OK(acl_change(w, "Junk", name, STORE_ACL_SET, 1));
	}
	FAILS(acl_change(w, "Junk", "one more", STORE_ACL_SET, 1), FAIL_LIMIT);
	OK(acl_change(w, "Junk", "u7", STORE_ACL_SET, 2));
}

/* A list comes from the parent, goes along with RENAME, and ends with DELETE. */
static void test_acl_of_new_mailboxes(void **state)
{
	struct world *w = *state;
	OK(create(w, "a"));
	OK(acl_change(w, "a", "bob", STORE_ACL_SET, 5));
	OK(create(w, "a/b/c"));
	assert_string_equal(acl_of(w, "a/b"), "bob 5");
	assert_string_equal(acl_of(w, "a/b/c"), "bob 5");
	OK(acl_change(w, "a", "bob", STORE_ACL_SET, 6));
	assert_string_equal(acl_of(w, "a/b/c"), "bob 5");
	OK(rename_to(w, "a/b", "d"));
	assert_string_equal(acl_of(w, "d/c"), "bob 5");
	OK(drop(w, "d"));
	assert_string_equal(acl_of(w, "d"), "");
	assert_string_equal(acl_of(w, "d/c"), "bob 5");
	OK(drop(w, "d/c"));
	OK(create(w, "d/c"));
	assert_string_equal(acl_of(w, "d/c"), "");
	OK(store_check(w->s, ALICE, &w->why));
}

/* ---- viewers ------------------------------------------------------------------------------- */

static struct store_view *view_as(struct world *w, const char *mailbox, struct account_id viewer)
{
	struct store_view_as as = {.viewer = viewer, .may = UINT64_MAX};
	struct store_view *v;
	OK(store_view_open_as(w->s, ALICE, str_c(mailbox), &as, &v, &w->why));
	return v;
}

/* "1 2F 3S": UIDs with \Seen and \Flagged, as the view shows them. */
static const char *flags_in(struct world *w, struct store_view *v)
{
	AUTO(buf) struct buf out = BUF_INIT(KIB(64));
	AUTO(store_reader) struct store_reader *r = NULL;
	struct store_set set;
	struct store_message m;
	int res;
	OK(store_view_all(v, &w->arena, &set, &w->why));
	OK(store_read_begin(v, &set, 0, (struct modseq){0}, &r, &w->why));
	while ((res = store_read_next(r, &m, &w->why)) > 0)
		buf_addf(&out, "%s%u%s%s", out.n ? " " : "", m.uid.v,
			 m.flags & STORE_FLAGGED ? "F" : "", m.flags & STORE_SEEN ? "S" : "");
	OK(res);
	return arena_c(&w->arena, buf_str(&out));
}

static size_t news(struct world *w, struct store_view *v)
{
	const struct store_changes *c;
	OK(store_view_sync(v, STORE_SYNC_EXPUNGE, &c, &w->why));
	return c->n_flags;
}

static uint32_t unseen_of(struct world *w, struct store_view *v, struct account_id viewer)
{
	uint32_t n;
	OK(store_unseen_of(w->s, ALICE, store_view_get_info(v)->mailbox, viewer, &n, &w->why));
	return n;
}

static void test_viewer_has_seen(void **state)
{
	struct world *w = *state;
	put_to(w, "INBOX", "a", STORE_SEEN);
	put_to(w, "INBOX", "b", 0);
	put_to(w, "INBOX", "c", 0);
	struct store_view *alice = view_of(w, "INBOX");
	struct store_view *bob = view_as(w, "INBOX", BOB);
	AUTO(store_view) struct store_view *other = view_as(w, "INBOX", BOB);
	AUTO(store_view) struct store_view *carol = view_as(w, "INBOX", CAROL);
	assert_string_equal(flags_in(w, bob), "1 2 3");
	assert_string_equal(flags_in(w, other), "1 2 3");
	assert_int_equal(store_view_get_info(bob)->recent, 0);
	flag(w, bob, 2, STORE_FLAGS_ADD, STORE_SEEN | STORE_FLAGGED);
	flag(w, bob, 3, STORE_FLAGS_ADD, STORE_SEEN);
	assert_string_equal(flags_in(w, bob), "1 2FS 3S");
	assert_string_equal(flags_in(w, other), "1 2FS 3S");
	assert_int_equal(news(w, bob), 0);
	assert_int_equal(news(w, other), 2);
	assert_int_equal(news(w, alice), 1);
	assert_int_equal(news(w, carol), 1);
	assert_string_equal(flags_in(w, alice), "1S 2F 3");
	assert_string_equal(flags_in(w, carol), "1 2F 3");
	assert_int_equal(unseen_of(w, bob, BOB), 1);
	assert_int_equal(unseen_of(w, bob, CAROL), 3);
	assert_int_equal(status(w, "INBOX").unseen, 2);
	flag(w, bob, 3, STORE_FLAGS_REPLACE, STORE_FLAGGED);
	assert_string_equal(flags_in(w, bob), "1 2FS 3F");
	flag(w, alice, 2, STORE_FLAGS_REPLACE, STORE_SEEN | STORE_DELETED);
	assert_int_equal(news(w, bob), 1);
	assert_string_equal(flags_in(w, bob), "1 2S 3F");
	OK(store_view_expunge(alice, NULL, NULL, &w->why));
	assert_int_equal(unseen_of(w, bob, BOB), 2);
	OK(store_check(w->s, ALICE, &w->why));
	store_view_close(alice);
	store_view_close(bob);
}

/* As the session that is continued in another process; and after everything was let go. */
static void test_viewer_sleeps(void **state)
{
	struct world *w = *state;
	AUTO(buf) struct buf bytes = BUF_INIT(KIB(64));
	struct store_view_as as = {.viewer = BOB, .may = STORE_SEEN};
	put_to(w, "INBOX", "a", 0);
	put_to(w, "INBOX", "b", 0);
	AUTO(store_view) struct store_view *bob = view_as(w, "INBOX", BOB);
	flag(w, bob, 1, STORE_FLAGS_ADD, STORE_SEEN);
	store_view_park(bob);
	assert_string_equal(flags_in(w, bob), "1S 2");
	OK(store_view_export(bob, &bytes, &w->why));
	store_view_close(TAKE(bob));
	OK(store_view_restore_as(w->s, buf_str(&bytes), &as, &bob, &w->why));
	assert_string_equal(flags_in(w, bob), "1S 2");
	/* What it may not change stays. */
	flag(w, bob, 2, STORE_FLAGS_REPLACE, STORE_SEEN | STORE_FLAGGED);
	flag(w, bob, 1, STORE_FLAGS_REPLACE, STORE_FLAGGED);
	assert_string_equal(flags_in(w, bob), "1 2S");
	AUTO(store_view) struct store_view *alice = view_of(w, "INBOX");
	assert_int_equal(store_view_get_info(alice)->recent, 2);
	assert_string_equal(flags_in(w, alice), "1 2");
}

static void test_viewer_copies(void **state)
{
	struct world *w = *state;
	struct store_append_message m = {.content = {.bytes = STR("x"), .map = STR("map")},
					 .flags = {.bits = STORE_SEEN | STORE_FLAGGED}};
	struct store_receipt receipt = {.number = 1};
	struct store_append a = {.account = ALICE,
				 .viewer = BOB,
				 .receipt = &receipt,
				 .mailbox = STR("INBOX"),
				 .messages = &m,
				 .n = 1};
	struct store_append_result res;
	OK(store_append(w->s, &a, &res, &w->why));
	assert_false(res.repeated);
	OK(store_append(w->s, &a, &res, &w->why));
	assert_true(res.repeated);
	AUTO(store_view) struct store_view *bob = view_as(w, "INBOX", BOB);
	AUTO(store_view) struct store_view *alice = view_of(w, "INBOX");
	assert_string_equal(flags_in(w, bob), "1FS");
	assert_string_equal(flags_in(w, alice), "1F");
	struct store_set set = set_of(w, bob, 1, 1, true);
	struct store_copying how = {.target = STR("Sent"), .may = STORE_SEEN, .move = false};
	AUTO(store_copy_result) struct store_copy_result copied = STORE_COPY_RESULT_INIT;
	OK(store_view_copy_as(bob, &set, &how, &copied, &w->why));
	how = (struct store_copying){.target = STR("Junk"), .may = STORE_FLAGGED, .move = true};
	store_copy_result_clear(&copied);
	OK(store_view_copy_as(bob, &set, &how, &copied, &w->why));
	AUTO(store_view) struct store_view *sent = view_as(w, "Sent", BOB);
	AUTO(store_view) struct store_view *junk = view_as(w, "Junk", BOB);
	AUTO(store_view) struct store_view *owners = view_of(w, "Sent");
	assert_string_equal(flags_in(w, sent), "1S");
	assert_string_equal(flags_in(w, owners), "1");
	assert_string_equal(flags_in(w, junk), "1F");
	OK(store_check(w->s, ALICE, &w->why));
}

/* Rows of viewers go with the messages, and with the mailbox. */
static void test_viewer_rows_end(void **state)
{
	struct world *w = *state;
	struct store_purge_result purged;
	put_to(w, "INBOX", "a", STORE_DELETED);
	put_to(w, "Sent", "a", 0);
	AUTO(store_view) struct store_view *bob = view_as(w, "INBOX", BOB);
	AUTO(store_view) struct store_view *sent = view_as(w, "Sent", BOB);
	flag(w, bob, 1, STORE_FLAGS_ADD, STORE_SEEN);
	flag(w, sent, 1, STORE_FLAGS_ADD, STORE_SEEN);
	OK(store_view_expunge(bob, NULL, NULL, &w->why));
	assert_int_equal(news(w, bob), 0);
	store_view_close(TAKE(bob));
	store_view_close(TAKE(sent));
	OK(drop(w, "Sent"));
	OK(store_purge(w->s, ALICE, (struct wall_us){INT64_MAX}, 100, &purged, &w->why));
	OK(store_check(w->s, ALICE, &w->why));
	bob = view_as(w, "INBOX", BOB);
	assert_int_equal(unseen_of(w, bob, BOB), 0);
}

/* What came under a receipt can be taken back: that alone, once, and in no other mailbox. */
static void test_taking_back(void **state)
{
	struct world *w = *state;
	struct store_append_message m[2] = {{.content = {.bytes = STR("x"), .map = STR("map")}},
					    {.content = {.bytes = STR("y"), .map = STR("map")}}};
	struct store_receipt receipt = {.number = 1, .rcpt = BOB.v}, other = receipt;
	struct store_append a = {.account = ALICE,
				 .viewer = BOB,
				 .receipt = &receipt,
				 .mailbox = STR("INBOX"),
				 .messages = m,
				 .n = 2};
	struct store_append_result res;
	put_to(w, "INBOX", "before", 0);
	OK(store_append(w->s, &a, &res, &w->why));
	put_to(w, "INBOX", "after", 0);
	AUTO(store_view) struct store_view *inbox = view_of(w, "INBOX");
	other.number = 2;
	OK(store_receipt_undo(w->s, ALICE, &other, &w->why));
	other = receipt;
	other.rcpt = ALICE.v;
	OK(store_receipt_undo(w->s, ALICE, &other, &w->why));
	(void)news(w, inbox);
	assert_string_equal(flags_in(w, inbox), "1 2 3 4");
	OK(store_append(w->s, &a, &res, &w->why));
	assert_true(res.repeated);
	assert_int_equal(res.first.v, 2);
	assert_int_equal(res.uidvalidity, store_view_get_info(inbox)->uidvalidity);
	OK(store_receipt_undo(w->s, ALICE, &receipt, &w->why));
	(void)news(w, inbox);
	assert_string_equal(flags_in(w, inbox), "1 4");
	OK(store_receipt_undo(w->s, ALICE, &receipt, &w->why));
	(void)news(w, inbox);
	assert_string_equal(flags_in(w, inbox), "1 4");
	/* A mailbox that was made anew under the name holds nothing of it. */
	a.mailbox = STR("Sent");
	OK(store_append(w->s, &a, &res, &w->why));
	OK(drop(w, "Sent"));
	OK(store_mailbox_create(w->s, ALICE, STR("Sent"), 0, NULL, &w->why));
	put_to(w, "Sent", "a", 0);
	OK(store_receipt_undo(w->s, ALICE, &receipt, &w->why));
	AUTO(store_view) struct store_view *sent = view_of(w, "Sent");
	assert_string_equal(flags_in(w, sent), "1");
	OK(store_check(w->s, ALICE, &w->why));
}

/* An account that is gone leaves nothing in others' mailboxes. */
static void test_viewer_is_forgotten(void **state)
{
	struct world *w = *state;
	struct store_acl_change c = {.account = ALICE,
				     .mailbox = STR("INBOX"),
				     .identifier = STR("bob@example.test"),
				     .subject = BOB,
				     .how = STORE_ACL_SET,
				     .rights = 3};
	struct store_annotation note = {.entry = STR("/private/x"), .value = STR("v")};
	struct store_annotate notes = {
		.account = ALICE, .mailbox = STR("INBOX"), .viewer = BOB, .set = &note, .n = 1};
	struct store_notes found;
	struct store_acl acl;
	put_to(w, "INBOX", "a", 0);
	AUTO(store_view) struct store_view *bob = view_as(w, "INBOX", BOB);
	flag(w, bob, 1, STORE_FLAGS_ADD, STORE_SEEN);
	store_view_close(TAKE(bob));
	OK(store_acl_change(w->s, &c, &w->why));
	OK(store_annotate(w->s, &notes, &w->why));
	OK(store_viewer_forget(w->s, BOB, &w->why));
	OK(store_annotations(w->s, ALICE, STR("INBOX"), BOB, &w->arena, &found, &w->why));
	assert_int_equal(found.n, 0);
	OK(store_acl_get(w->s, ALICE, STR("INBOX"), &w->arena, &acl, &w->why));
	assert_int_equal(acl.n, 0);
	bob = view_as(w, "INBOX", BOB);
	assert_int_equal(unseen_of(w, bob, BOB), 1);
}

/* Rights of whoever had the address before are not added to. */
static void test_acl_of_another(void **state)
{
	struct world *w = *state;
	struct store_acl_change c = {.account = ALICE,
				     .mailbox = STR("INBOX"),
				     .identifier = STR("bob@example.test"),
				     .subject = BOB,
				     .how = STORE_ACL_SET,
				     .rights = 7};
	struct store_acl acl;
	OK(store_acl_change(w->s, &c, &w->why));
	c.subject.v = BOB.v + 100;
	c.how = STORE_ACL_ADD;
	c.rights = 8;
	OK(store_acl_change(w->s, &c, &w->why));
	OK(store_acl_get(w->s, ALICE, STR("INBOX"), &w->arena, &acl, &w->why));
	assert_int_equal(acl.n, 1);
	assert_int_equal(acl.p[0].rights, 8);
	assert_int_equal(acl.p[0].subject.v, c.subject.v);
}

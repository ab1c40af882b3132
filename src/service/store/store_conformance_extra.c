/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_conformance_extra.c - the fourth part of store_conformance.c: what hangs on a mailbox
 * beside its messages.
 */

static bool has_key(struct world *w, const char *mailbox, unsigned char ret[STORE_URL_KEY_LEN])
{
	int r = store_url_key(w->s, ALICE, str_c(mailbox), false, ret, &w->why);
	assert_true(r == 0 || r == -FAIL_NOTFOUND);
	return r == 0;
}

static void make_key(struct world *w, const char *mailbox, unsigned char ret[STORE_URL_KEY_LEN])
{
	OK(store_url_key(w->s, ALICE, str_c(mailbox), true, ret, &w->why));
}

/* The key of URLs is the mailbox's: it follows RENAME and ends with DELETE. */
static void test_url_keys(void **state)
{
	struct world *w = *state;
	unsigned char first[STORE_URL_KEY_LEN], key[STORE_URL_KEY_LEN], other[STORE_URL_KEY_LEN];
	struct mailbox_id id;
	assert_false(has_key(w, "Drafts", key));
	make_key(w, "Drafts", first);
	make_key(w, "Drafts", key);
	assert_memory_equal(first, key, sizeof key);
	make_key(w, "Sent", other);
	assert_memory_not_equal(first, other, sizeof key);
	OK(rename_to(w, "Drafts", "Sketches"));
	assert_false(has_key(w, "Drafts", key));
	assert_true(has_key(w, "Sketches", key));
	assert_memory_equal(first, key, sizeof key);
	OK(store_mailbox_delete(w->s, ALICE, STR("Sketches"), &w->why));
	assert_false(has_key(w, "Sketches", key));
	OK(store_mailbox_create(w->s, ALICE, STR("Sketches"), 0, &id, &w->why));
	assert_false(has_key(w, "Sketches", key));
	make_key(w, "Sketches", key);
	assert_memory_not_equal(first, key, sizeof key);
	OK(store_check(w->s, ALICE, &w->why));
}

static void test_url_keys_end(void **state)
{
	struct world *w = *state;
	unsigned char first[STORE_URL_KEY_LEN], key[STORE_URL_KEY_LEN];
	make_key(w, "INBOX", first);
	make_key(w, "Sent", key);
	OK(store_url_key_reset(w->s, ALICE, STR("Sent"), &w->why));
	assert_false(has_key(w, "Sent", key));
	assert_true(has_key(w, "inbox", key));
	OK(store_url_key_reset(w->s, ALICE, STR(""), &w->why));
	assert_false(has_key(w, "INBOX", key));
	FAILS(store_url_key(w->s, ALICE, STR("none"), true, key, &w->why), FAIL_NOTFOUND);
	FAILS(store_url_key_reset(w->s, ALICE, STR("none"), &w->why), FAIL_NOTFOUND);
	FAILS(store_url_key(w->s, ALICE, STR("a//b"), true, key, &w->why), FAIL_NOTFOUND);
	/* Where messages cannot be, no URL is. */
	struct mailbox_id id;
	OK(store_mailbox_create(w->s, ALICE, STR("a/b"), 0, &id, &w->why));
	make_key(w, "a", key);
	OK(store_mailbox_delete(w->s, ALICE, STR("a"), &w->why));
	FAILS(store_url_key(w->s, ALICE, STR("a"), true, key, &w->why), FAIL_NOTFOUND);
	OK(store_account_delete(w->s, ALICE, &w->why));
	OK(store_account_ensure(w->s, ALICE, store_default_folders, &w->why));
	assert_false(has_key(w, "INBOX", key));
}

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

/* ---- REPLACE ------------------------------------------------------------------------------ */

/* The mailbox may hold two messages and `quota` octets (0 = any). */
static int replace(struct world *w, struct store_view *v, uint32_t old, const char *mailbox,
		   const char *body, uint64_t quota)
{
	struct store_append_message m = {.content = {.prefix = STR("Received: x\r\n"),
						     .bytes = str_c(body),
						     .map = STR("m")},
					 .flags = {.bits = STORE_DRAFT}};
	struct store_append a = {.account = ALICE,
				 .mailbox = str_c(mailbox),
				 .messages = &m,
				 .n = 1,
				 .quota = {.bytes = quota, .messages = 2}};
	struct store_append_result res;
	int r = store_view_replace(v, (struct uid){old}, &a, &res, &w->why);
	return r < 0 ? r : (int)res.first.v;
}

static void test_replace(void **state)
{
	struct world *w = *state;
	put_to(w, "Drafts", "first", STORE_SEEN);
	put_to(w, "Drafts", "other", 0);
	AUTO(store_view) struct store_view *v = view_of(w, "Drafts");
	AUTO(store_view) struct store_view *old = view_of(w, "Drafts");
	assert_int_equal(replace(w, v, 1, "Drafts", "second", 0), 3);
	const struct store_changes *c = sync_view(w, v, STORE_SYNC_EXPUNGE);
	assert_true(c->n_expunged == 1 && c->expunged_uids[0].v == 1 && c->exists == 2);
	assert_string_equal(uids_of(w, v), "2 3");
	assert_string_equal(uids_of(w, old), "1 2");
	/* Into another mailbox. */
	assert_int_equal(replace(w, v, 3, "Sent", "sent", 0), 1);
	(void)sync_view(w, v, STORE_SYNC_EXPUNGE);
	assert_string_equal(uids_of(w, v), "2");
	assert_int_equal(status(w, "Sent").exists, 1);
	assert_int_equal(status(w, "Sent").unseen, 1);
	OK(store_check(w->s, ALICE, &w->why));
}

/* All or nothing: whatever is wrong, the old message stays and no new one is there. */
static void test_replace_refused(void **state)
{
	struct world *w = *state;
	put_to(w, "Drafts", "12345", 0);
	uint64_t size = STR("Received: x\r\n12345").n;
	AUTO(store_view) struct store_view *v = view_of(w, "Drafts");
	FAILS(replace(w, v, 1, "none", "x", 0), FAIL_NOTFOUND);
	FAILS(replace(w, v, 2, "Drafts", "x", 0), FAIL_CONFLICT);
	FAILS(replace(w, v, 1, "Drafts", "123456", size), FAIL_QUOTA);
	assert_int_equal(status(w, "Drafts").exists, 1);
	assert_int_equal(status(w, "Drafts").uidnext.v, 2);
	/* Only what is more than before counts. */
	assert_int_equal(replace(w, v, 1, "Drafts", "54321", size), 2);
	FAILS(replace(w, v, 1, "Drafts", "x", 0), FAIL_CONFLICT);
	assert_int_equal(status(w, "Drafts").exists, 1);
	struct store_view *r;
	OK(store_view_open(w->s, ALICE, STR("Drafts"), true, &r, &w->why));
	FAILS(replace(w, r, 2, "Drafts", "x", 0), FAIL_PERM);
	store_view_close(r);
	OK(store_mailbox_delete(w->s, ALICE, STR("Drafts"), &w->why));
	FAILS(replace(w, v, 2, "INBOX", "x", 0), FAIL_GONE);
	assert_int_equal(status(w, "INBOX").exists, 0);
	OK(store_check(w->s, ALICE, &w->why));
}

/* ---- annotations -------------------------------------------------------------------------- */

#define VIEWER ((struct account_id){1002})

static int annotate(struct world *w, const char *mailbox, struct account_id viewer,
		    const char *entry, const char *value)
{
	struct store_annotation one = {.entry = str_c(entry),
				       .value = value ? str_c(value) : STR_NULL};
	struct store_annotate a = {
		.account = ALICE, .mailbox = str_c(mailbox), .viewer = viewer, .set = &one, .n = 1};
	return store_annotate(w->s, &a, &w->why);
}

/* "/private/a=x /shared/b=y" */
static const char *notes_of(struct world *w, const char *mailbox, struct account_id viewer)
{
	AUTO(buf) struct buf out = BUF_INIT(MIB(1));
	struct store_notes notes;
	OK(store_annotations(w->s, ALICE, str_c(mailbox), viewer, &w->arena, &notes, &w->why));
	buf_add(&out, STR(""));
	for (size_t i = 0; i < notes.n; i++)
		buf_addf(&out, "%s%.*s=%.*s", i ? " " : "", STR_ARG(notes.p[i].entry),
			 STR_ARG(notes.p[i].value));
	return arena_c(&w->arena, buf_str(&out));
}

static void test_annotations(void **state)
{
	struct world *w = *state;
	struct mailbox_id id;
	OK(annotate(w, "Drafts", ALICE, "/shared/comment", "all"));
	OK(annotate(w, "Drafts", ALICE, "/private/comment", "hers"));
	OK(annotate(w, "Drafts", VIEWER, "/private/comment", "his"));
	OK(annotate(w, "", ALICE, "/private/comment", "server"));
	assert_string_equal(notes_of(w, "Drafts", ALICE),
			    "/private/comment=hers /shared/comment=all");
	assert_string_equal(notes_of(w, "Drafts", VIEWER),
			    "/private/comment=his /shared/comment=all");
	assert_string_equal(notes_of(w, "", ALICE), "/private/comment=server");
	assert_string_equal(notes_of(w, "INBOX", ALICE), "");
	OK(annotate(w, "Drafts", ALICE, "/private/comment", NULL));
	OK(annotate(w, "Drafts", ALICE, "/private/none", NULL));
	OK(annotate(w, "Drafts", ALICE, "/shared/comment", ""));
	assert_string_equal(notes_of(w, "Drafts", ALICE), "/shared/comment=");
	assert_string_equal(notes_of(w, "Drafts", VIEWER), "/private/comment=his /shared/comment=");
	/* They follow RENAME, end with DELETE, and are copied by RENAME of INBOX. */
	OK(rename_to(w, "Drafts", "a/b"));
	assert_string_equal(notes_of(w, "a/b", VIEWER), "/private/comment=his /shared/comment=");
	OK(store_mailbox_delete(w->s, ALICE, STR("a/b"), &w->why));
	OK(store_mailbox_create(w->s, ALICE, STR("a/b"), 0, &id, &w->why));
	assert_string_equal(notes_of(w, "a/b", VIEWER), "");
	OK(annotate(w, "INBOX", VIEWER, "/private/x", "1"));
	OK(annotate(w, "INBOX", VIEWER, "/shared/y", "2"));
	OK(rename_to(w, "INBOX", "old"));
	assert_string_equal(notes_of(w, "INBOX", VIEWER), "/private/x=1 /shared/y=2");
	assert_string_equal(notes_of(w, "old", VIEWER), "/private/x=1 /shared/y=2");
	/* A name that is \Noselect has its own. */
	OK(annotate(w, "a", ALICE, "/shared/comment", "before"));
	OK(store_mailbox_delete(w->s, ALICE, STR("a"), &w->why));
	assert_string_equal(notes_of(w, "a", ALICE), "");
	OK(annotate(w, "a", ALICE, "/shared/comment", "noselect"));
	OK(store_mailbox_create(w->s, ALICE, STR("a"), 0, &id, &w->why));
	assert_string_equal(notes_of(w, "a", ALICE), "");
	OK(store_check(w->s, ALICE, &w->why));
	OK(store_account_delete(w->s, ALICE, &w->why));
	OK(store_account_ensure(w->s, ALICE, store_default_folders, &w->why));
	assert_string_equal(notes_of(w, "", ALICE), "");
}

static void test_annotation_limits(void **state)
{
	struct world *w = *state;
	AUTO_MEM char *text = xcalloc(1, STORE_ANNOTATION_VALUE_MAX + 2);
	char entry[64];
	memset(text, 'x', STORE_ANNOTATION_VALUE_MAX + 1);
	FAILS(annotate(w, "INBOX", ALICE, "/shared/big", text), FAIL_TOOBIG);
	text[STORE_ANNOTATION_VALUE_MAX] = 0;
	FAILS(annotate(w, "none", ALICE, "/shared/big", text), FAIL_NOTFOUND);
	unsigned fit = STORE_ANNOTATIONS_BYTES_MAX / (STORE_ANNOTATION_VALUE_MAX + 12);
	for (unsigned i = 0; i < fit; i++) {
		(void)snprintf(entry, sizeof entry, "/shared/%04u", i);
		OK(annotate(w, i % 2 ? "INBOX" : "Sent", ALICE, entry, text));
	}
	FAILS(annotate(w, "Drafts", ALICE, "/private/more", text), FAIL_LIMIT);
	assert_string_equal(notes_of(w, "Drafts", ALICE), "");
	/* All or none, and what is taken away counts. */
	struct store_annotation two[] = {{STR("/shared/0000"), STR_NULL},
					 {STR("/shared/b"), STR("b")}};
	struct store_annotate a = {
		.account = ALICE, .mailbox = STR("Sent"), .viewer = ALICE, .set = two, .n = 2};
	OK(store_annotate(w->s, &a, &w->why));
	OK(annotate(w, "Drafts", ALICE, "/private/more", "little"));
	OK(store_check(w->s, ALICE, &w->why));
}

/* ---- Sieve scripts ------------------------------------------------------------------------ */

static int put_script(struct world *w, const char *name, const char *text)
{
	struct store_script_put p = {.account = ALICE,
				     .name = str_c(name),
				     .text = str_c(text),
				     .max_scripts = 3,
				     .max_bytes = 100};
	return store_script_put(w->s, &p, &w->why);
}

/* "*a:10 b:3": names and sizes, the active one marked. */
static const char *scripts_of(struct world *w)
{
	AUTO(buf) struct buf out = BUF_INIT(MIB(1));
	struct store_scripts all;
	OK(store_scripts(w->s, ALICE, &w->arena, &all, &w->why));
	buf_add(&out, STR(""));
	for (size_t i = 0; i < all.n; i++) {
		buf_addf(&out, "%s%s%.*s:%llu", i ? " " : "", all.p[i].active ? "*" : "",
			 STR_ARG(all.p[i].name), (unsigned long long)all.p[i].size);
		assert_null(all.p[i].text.p);
	}
	return arena_c(&w->arena, buf_str(&out));
}

static const char *script_text(struct world *w, const char *name)
{
	struct store_script one;
	int r = store_script_get(w->s, ALICE, str_c(name), &w->arena, &one, &w->why);
	assert_true(r >= 0);
	return r ? arena_c(&w->arena, one.text) : NULL;
}

static void test_scripts(void **state)
{
	struct world *w = *state;
	assert_string_equal(scripts_of(w), "");
	assert_null(script_text(w, ""));
	OK(put_script(w, "b", "keep;"));
	OK(put_script(w, "a", ""));
	assert_string_equal(scripts_of(w), "a:0 b:5");
	assert_string_equal(script_text(w, "a"), "");
	assert_string_equal(script_text(w, "b"), "keep;");
	assert_null(script_text(w, "c"));
	/* One is active, and stays so under another text or name. */
	FAILS(store_script_activate(w->s, ALICE, STR("c"), &w->why), FAIL_NOTFOUND);
	OK(store_script_activate(w->s, ALICE, STR("b"), &w->why));
	OK(put_script(w, "b", "discard;"));
	assert_string_equal(scripts_of(w), "a:0 *b:8");
	assert_string_equal(script_text(w, ""), "discard;");
	FAILS(store_script_rename(w->s, ALICE, STR("b"), STR("a"), &w->why), FAIL_EXISTS);
	FAILS(store_script_rename(w->s, ALICE, STR("c"), STR("d"), &w->why), FAIL_NOTFOUND);
	OK(store_script_rename(w->s, ALICE, STR("b"), STR("b"), &w->why));
	OK(store_script_rename(w->s, ALICE, STR("b"), STR("z"), &w->why));
	assert_string_equal(scripts_of(w), "a:0 *z:8");
	FAILS(store_script_delete(w->s, ALICE, STR("z"), &w->why), FAIL_CONFLICT);
	FAILS(store_script_delete(w->s, ALICE, STR("b"), &w->why), FAIL_NOTFOUND);
	OK(store_script_activate(w->s, ALICE, STR("a"), &w->why));
	assert_string_equal(scripts_of(w), "*a:0 z:8");
	OK(store_script_delete(w->s, ALICE, STR("z"), &w->why));
	OK(store_script_activate(w->s, ALICE, STR(""), &w->why));
	assert_string_equal(scripts_of(w), "a:0");
	OK(store_check(w->s, ALICE, &w->why));
	OK(store_account_delete(w->s, ALICE, &w->why));
	OK(store_account_ensure(w->s, ALICE, store_default_folders, &w->why));
	assert_string_equal(scripts_of(w), "");
}

static void test_script_limits(void **state)
{
	struct world *w = *state;
	struct store_script_put p = {
		.account = ALICE, .name = STR("b"), .max_scripts = 3, .max_bytes = 100};
	OK(put_script(w, "a", "1234567890"));
	OK(store_script_fits(w->s, &p, 90, &w->why));
	FAILS(store_script_fits(w->s, &p, 91, &w->why), FAIL_TOOBIG);
	FAILS(store_script_fits(w->s, &p, UINT64_MAX, &w->why), FAIL_TOOBIG);
	p.name = STR("a"); /* what it has now does not count */
	OK(store_script_fits(w->s, &p, 100, &w->why));
	OK(put_script(w, "b", "x"));
	OK(put_script(w, "c", "x"));
	FAILS(put_script(w, "d", "x"), FAIL_LIMIT);
	OK(put_script(w, "c", "xyz"));
	assert_string_equal(scripts_of(w), "a:10 b:1 c:3");
}

static unsigned use_of(struct world *w, const char *name)
{
	struct store_mailbox m;
	OK(store_mailbox_find(w->s, ALICE, str_c(name), &w->arena, &m, &w->why));
	return m.use;
}

/* RFC 6154 section 5.4: a use moves to the mailbox that gets it. */
static void test_uses(void **state)
{
	struct world *w = *state;
	struct mailbox_id id;
	AUTO(store_view) struct store_view *v = view_of(w, "Drafts");
	OK(store_mailbox_create(w->s, ALICE, STR("new"), 0, &id, &w->why));
	struct store_annotate a = {.account = ALICE,
				   .mailbox = STR("new"),
				   .viewer = ALICE,
				   .has_use = true,
				   .use = STORE_USE_DRAFTS | STORE_USE_SENT};
	OK(store_annotate(w->s, &a, &w->why));
	assert_int_equal(use_of(w, "new"), STORE_USE_DRAFTS | STORE_USE_SENT);
	assert_int_equal(use_of(w, "Drafts") | use_of(w, "Sent"), 0);
	put_to(w, "Drafts", "x", 0);
	assert_int_equal(sync_view(w, v, 0)->exists, 1);
	a.use = 0;
	OK(store_annotate(w->s, &a, &w->why));
	assert_int_equal(use_of(w, "new"), 0);
	a.mailbox = STR("none");
	FAILS(store_annotate(w->s, &a, &w->why), FAIL_NOTFOUND);
	OK(store_check(w->s, ALICE, &w->why));
}

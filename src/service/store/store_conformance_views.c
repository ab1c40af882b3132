/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_conformance_views.c - the second half of store_conformance.c: views, changes, deliveries.
 */
/* ---- views --------------------------------------------------------------------------------- */

static void test_sync(void **state)
{
	struct world *w = *state;
	for (unsigned i = 0; i < 5; i++)
		put_to(w, "INBOX", "x", i == 1 ? 0 : STORE_SEEN);
	AUTO(store_view) struct store_view *a = view_of(w, "INBOX");
	AUTO(store_view) struct store_view *b = view_of(w, "INBOX");
	assert_int_equal(store_view_get_info(a)->first_unseen, 2);
	assert_int_equal(store_view_get_info(a)->recent, 5);
	assert_int_equal(store_view_get_info(b)->recent, 0);
	const struct store_changes *c;
	assert_int_equal(store_view_sync(a, STORE_SYNC_EXPUNGE, &c, &w->why), 0);
	/* b expunges 2 and 4, flags 3; another one arrives */
	flag(w, b, 2, STORE_FLAGS_ADD, STORE_DELETED);
	flag(w, b, 4, STORE_FLAGS_ADD, STORE_DELETED);
	OK(store_view_expunge(b, NULL, NULL, &w->why));
	flag(w, b, 3, STORE_FLAGS_ADD, STORE_FLAGGED);
	put_to(w, "INBOX", "x", 0);
	c = sync_view(w, a, 0);
	assert_int_equal(c->n_expunged, 0);
	assert_true(c->expunges_pending && c->exists_changed && c->recent_changed);
	assert_int_equal(c->exists, 6);
	assert_int_equal(c->recent, 6);
	assert_int_equal(c->n_flags, 3); /* 2 and 4 are still there for a, \Deleted */
	assert_string_equal(uids_of(w, a), "1 2 3 4 5 6");
	c = sync_view(w, a, STORE_SYNC_EXPUNGE);
	assert_int_equal(c->n_expunged, 2);
	assert_int_equal(c->expunged[0], 2);
	assert_int_equal(c->expunged[1], 4);
	assert_int_equal(c->expunged_uids[1].v, 4);
	assert_int_equal(c->exists, 4);
	assert_int_equal(c->recent, 4);
	assert_int_equal(c->n_flags, 0);
	assert_string_equal(uids_of(w, a), "1 3 5 6");
	/* b: its own expunges come by sync, its own flags do not */
	c = sync_view(w, b, STORE_SYNC_EXPUNGE);
	assert_int_equal(c->n_expunged, 2);
	assert_int_equal(c->n_flags, 0);
	assert_int_equal(c->exists, 4);
	assert_int_equal(c->recent, 0); /* a took it */
	OK(store_check(w->s, ALICE, &w->why));
}

static void test_store_result(void **state)
{
	struct world *w = *state;
	for (unsigned i = 0; i < 3; i++)
		put_to(w, "INBOX", "x", 0);
	AUTO(store_view) struct store_view *a = view_of(w, "INBOX");
	AUTO(store_view) struct store_view *b = view_of(w, "INBOX");
	struct modseq then = store_view_get_info(a)->highestmodseq;
	struct store_set all = set_of(w, a, 1, STORE_STAR, false);
	flag(w, b, 2, STORE_FLAGS_ADD, STORE_FLAGGED);
	flag(w, b, 3, STORE_FLAGS_ADD, STORE_DELETED);
	OK(store_view_expunge(b, NULL, NULL, &w->why));
	AUTO(store_flags_result) struct store_flags_result res = STORE_FLAGS_RESULT_INIT;
	struct store_flagset seen = {.bits = STORE_SEEN};
	OK(store_view_store(a, &all, STORE_FLAGS_ADD, &seen, &then, &res, &w->why));
	assert_int_equal(res.n, 1);
	assert_int_equal(res.rows[0].now.uid.v, 1);
	assert_false(res.rows[0].unexpected);
	assert_int_equal(res.n_modified, 1);
	assert_int_equal(res.modified[0].v, 2);
	assert_int_equal(res.gone, 1);
	store_flags_result_clear(&res);
	OK(store_view_store(a, &all, STORE_FLAGS_ADD, &seen, NULL, &res, &w->why));
	assert_int_equal(res.n, 2);
	assert_false(res.rows[0].unexpected);
	assert_true(res.rows[1].unexpected); /* b's \Flagged was not told */
	assert_int_equal(res.rows[1].now.flags, STORE_SEEN | STORE_FLAGGED | STORE_RECENT);
	struct modseq m = res.modseq;
	store_flags_result_clear(&res);
	OK(store_view_store(a, &all, STORE_FLAGS_ADD, &seen, NULL, &res, &w->why));
	assert_int_equal(res.modseq.v, 0); /* nothing to do */
	assert_int_equal(res.rows[1].now.modseq.v, m.v);
	assert_int_equal(status(w, "INBOX").unseen, 0);
	const struct store_changes *c = sync_view(w, b, 0);
	assert_int_equal(c->n_flags, 2);
	OK(store_check(w->s, ALICE, &w->why));
}

/* What STORE says that it did is what is on disk: a STORE that changes nothing reads it again. */
static void check_stored(struct world *w, struct store_view *v, const struct store_set *set,
			 enum store_flags_how how, unsigned bits, const struct modseq *since)
{
	AUTO(store_flags_result) struct store_flags_result did = STORE_FLAGS_RESULT_INIT;
	AUTO(store_flags_result) struct store_flags_result is = STORE_FLAGS_RESULT_INIT;
	AUTO(store_flags_result) struct store_flags_result was = STORE_FLAGS_RESULT_INIT;
	struct store_flagset flags = {.bits = bits}, none = {0};
	OK(store_view_store(v, set, STORE_FLAGS_REMOVE, &none, NULL, &was, &w->why));
	OK(store_view_store(v, set, how, &flags, since, &did, &w->why));
	OK(store_view_store(v, set, STORE_FLAGS_REMOVE, &none, NULL, &is, &w->why));
	assert_int_equal(is.modseq.v, 0);
	assert_int_equal(is.n, did.n + did.n_modified);
	for (size_t i = 0, k = 0; i < is.n; i++) {
		const struct store_flag_change *now = &is.rows[i].now, *told = &was.rows[i].now;
		if (k < did.n && did.rows[k].now.uid.v == now->uid.v)
			told = &did.rows[k++].now;
		assert_int_equal(told->flags, now->flags);
		assert_int_equal(told->modseq.v, now->modseq.v);
	}
	OK(store_check(w->s, ALICE, &w->why));
}

static void test_store_of_many(void **state)
{
	struct world *w = *state;
	for (unsigned i = 0; i < 8; i++)
		put_to(w, "INBOX", "x", i == 4 ? STORE_SEEN : 0);
	AUTO(store_view) struct store_view *a = view_of(w, "INBOX");
	AUTO(store_view) struct store_view *b = view_of(w, "INBOX");
	struct modseq then = store_view_get_info(a)->highestmodseq;
	struct store_set all = set_of(w, a, 1, STORE_STAR, false);
	struct store_set middle = set_of(w, a, 2, 6, false);
	flag(w, b, 2, STORE_FLAGS_ADD, STORE_FLAGGED);
	flag(w, b, 4, STORE_FLAGS_ADD, STORE_DELETED);
	OK(store_view_expunge(b, NULL, NULL, &w->why));
	put_to(w, "INBOX", "not seen by a yet", 0);
	check_stored(w, a, &all, STORE_FLAGS_ADD, STORE_SEEN | STORE_ANSWERED, &then);
	check_stored(w, a, &middle, STORE_FLAGS_REMOVE, STORE_SEEN | STORE_FLAGGED, NULL);
	check_stored(w, a, &all, STORE_FLAGS_REPLACE, STORE_DRAFT | STORE_SEEN, NULL);
	check_stored(w, a, &middle, STORE_FLAGS_ADD, STORE_DELETED, &then); /* none */
	AUTO(store_view) struct store_view *c = view_of(w, "INBOX");
	struct store_set last = set_of(w, c, 8, 8, false);
	AUTO(store_flags_result) struct store_flags_result res = STORE_FLAGS_RESULT_INIT;
	struct store_flagset none = {0};
	OK(store_view_store(c, &last, STORE_FLAGS_REMOVE, &none, NULL, &res, &w->why));
	assert_int_equal(res.rows[0].now.flags & ~(uint64_t)STORE_RECENT, 0);
}

static void test_read_only(void **state)
{
	struct world *w = *state;
	put_to(w, "INBOX", "x", STORE_DELETED);
	AUTO(store_view) struct store_view *v = NULL;
	OK(store_view_open(w->s, ALICE, STR("INBOX"), true, &v, &w->why));
	assert_int_equal(store_view_get_info(v)->recent, 1);
	assert_int_equal(status(w, "INBOX").recent, 1);
	struct store_set all = set_of(w, v, 1, 1, true);
	struct store_flagset f = {.bits = STORE_SEEN};
	struct store_flags_result res;
	struct store_copy_result copy = STORE_COPY_RESULT_INIT;
	FAILS(store_view_store(v, &all, STORE_FLAGS_ADD, &f, NULL, &res, &w->why), FAIL_PERM);
	FAILS(store_view_expunge(v, NULL, NULL, &w->why), FAIL_PERM);
	FAILS(store_view_move(v, &all, STR("Trash"), &copy, &w->why), FAIL_PERM);
	OK(store_view_copy(v, &all, STR("Trash"), NULL, &copy, &w->why));
	assert_int_equal(copy.n, 1);
	store_copy_result_clear(&copy);
}

static void test_recent(void **state)
{
	struct world *w = *state;
	put_to(w, "INBOX", "x", 0);
	AUTO(store_view) struct store_view *a = view_of(w, "INBOX");
	assert_int_equal(status(w, "INBOX").recent, 0);
	AUTO(store_view) struct store_view *b = view_of(w, "INBOX");
	put_to(w, "INBOX", "x", 0);
	assert_int_equal(status(w, "INBOX").recent, 1);
	assert_int_equal(sync_view(w, b, 0)->recent, 1);
	assert_int_equal(sync_view(w, a, 0)->recent, 1);
	put_to(w, "INBOX", "x", 0);
	assert_int_equal(sync_view(w, a, 0)->recent, 2);
	assert_int_equal(sync_view(w, b, 0)->recent, 1);
	assert_int_equal(read_one(w, a, 3).flags, STORE_RECENT);
	assert_int_equal(read_one(w, b, 3).flags, 0);
	OK(store_check(w->s, ALICE, &w->why));
}

static void test_resolve(void **state)
{
	struct world *w = *state;
	for (unsigned i = 0; i < 10; i++)
		put_to(w, "INBOX", "x", i % 2 ? STORE_DELETED : 0);
	AUTO(store_view) struct store_view *v = view_of(w, "INBOX");
	OK(store_view_expunge(v, NULL, NULL, &w->why));
	sync_view(w, v, STORE_SYNC_EXPUNGE); /* UIDs 1 3 5 7 9 */
	static const struct {
		struct store_range in[3];
		size_t n;
		bool by_uid;
		const char *want; /* seq+count=first:last; "!" an error */
	} cases[] = {
		{{{1, 1}}, 1, false, "1+1=1:1"},
		{{{1, STORE_STAR}}, 1, false, "1+5=1:9"},
		{{{STORE_STAR, STORE_STAR}}, 1, false, "5+1=9:9"},
		{{{4, 2}}, 1, false, "2+3=3:7"},
		{{{3, 4}, {1, 1}, {2, 2}}, 3, false, "1+4=1:7"},
		{{{5, 5}, {1, 2}}, 2, false, "1+2=1:3 5+1=9:9"},
		{{{6, 6}}, 1, false, "!"},
		{{{1, 6}}, 1, false, "!"},
		{{{2, 2}}, 1, true, ""},
		{{{2, 6}}, 1, true, "2+2=3:5"},
		{{{1, STORE_STAR}}, 1, true, "1+5=1:9"},
		{{{100, STORE_STAR}}, 1, true, "5+1=9:9"},
		{{{100, 200}}, 1, true, ""},
		{{{1, UINT32_MAX}}, 1, true, "1+5=1:9"},
		{{{9, 9}, {1, 4}}, 2, true, "1+2=1:3 5+1=9:9"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct store_set set = {0};
		AUTO(buf) struct buf out = BUF_INIT(1000);
		int r = store_view_resolve(v, cases[i].in, cases[i].n, cases[i].by_uid, &w->arena,
					   &set, &w->why);
		if (r == -FAIL_SYNTAX)
			buf_addc(&out, '!');
		for (size_t k = 0; k < set.n; k++)
			buf_addf(&out, "%s%u+%u=%u:%u", k ? " " : "", set.runs[k].seq,
				 set.runs[k].count, set.runs[k].first.v, set.runs[k].last.v);
		assert_string_equal(buf_c(&out), cases[i].want);
	}
	struct uid uid;
	uint32_t seq;
	OK(store_view_uid(v, 3, &uid, &w->why));
	assert_int_equal(uid.v, 5);
	OK(store_view_uid(v, 6, &uid, &w->why));
	assert_int_equal(uid.v, 0);
	OK(store_view_seq(v, (struct uid){7}, &seq, &w->why));
	assert_int_equal(seq, 4);
	OK(store_view_seq(v, (struct uid){8}, &seq, &w->why));
	assert_int_equal(seq, 0);
	AUTO(store_view) struct store_view *empty = view_of(w, "Trash");
	struct store_set set;
	struct store_range star = {STORE_STAR, STORE_STAR};
	FAILS(store_view_resolve(empty, &star, 1, false, &w->arena, &set, &w->why), FAIL_SYNTAX);
	OK(store_view_resolve(empty, &star, 1, true, &w->arena, &set, &w->why));
	assert_int_equal(set.count, 0);
}

/* ---- COPY, MOVE, EXPUNGE ------------------------------------------------------------------- */

static void test_copy(void **state)
{
	struct world *w = *state;
	struct str words[] = {STR("one"), STR("two")};
	put_to(w, "INBOX", "x", STORE_SEEN);
	put_to(w, "INBOX", "yy", 0);
	AUTO(store_view) struct store_view *v = view_of(w, "INBOX");
	AUTO(store_view) struct store_view *t = view_of(w, "Trash");
	struct store_set all = set_of(w, v, 1, STORE_STAR, true);
	AUTO(store_flags_result) struct store_flags_result res = STORE_FLAGS_RESULT_INIT;
	struct store_flagset f = {.keywords = words, .n_keywords = 2};
	OK(store_view_store(v, &all, STORE_FLAGS_ADD, &f, NULL, &res, &w->why));
	put_to(w, "Trash", "z", 0);
	AUTO(store_copy_result) struct store_copy_result copy = STORE_COPY_RESULT_INIT;
	OK(store_view_copy(v, &all, STR("Trash"), NULL, &copy, &w->why));
	assert_int_equal(copy.n, 2);
	assert_int_equal(copy.first.v, 2);
	assert_int_equal(copy.from[1].v, 2);
	assert_int_equal(copy.uidvalidity, status(w, "Trash").uidvalidity);
	const struct store_changes *c = sync_view(w, t, 0);
	assert_true(c->keywords_changed);
	assert_int_equal(c->exists, 3);
	struct store_message m = read_one(w, t, 2);
	assert_int_equal(m.flags & ~(uint64_t)STORE_RECENT, STORE_SEEN | 1u << 6 | 1u << 7);
	assert_int_equal(m.id.v, read_one(w, v, 1).id.v); /* no copy was made */
	store_copy_result_clear(&copy);
	struct store_quota q = {.messages = 6};
	FAILS(store_view_copy(v, &all, STR("Trash"), &q, &copy, &w->why), FAIL_QUOTA);
	FAILS(store_view_copy(v, &all, STR("nowhere"), NULL, &copy, &w->why), FAIL_NOTFOUND);
	/* into itself */
	OK(store_view_copy(v, &all, STR("inbox"), NULL, &copy, &w->why));
	assert_int_equal(copy.first.v, 3);
	assert_int_equal(sync_view(w, v, 0)->exists, 4);
	struct store_usage u;
	OK(store_account_usage(w->s, ALICE, &u, &w->why));
	assert_int_equal(u.messages, 7);
	OK(store_check(w->s, ALICE, &w->why));
}

static void test_move(void **state)
{
	struct world *w = *state;
	for (unsigned i = 0; i < 4; i++)
		put_to(w, "INBOX", "x", 0);
	AUTO(store_view) struct store_view *v = view_of(w, "INBOX");
	struct store_set set = set_of(w, v, 2, 3, true);
	AUTO(store_copy_result) struct store_copy_result copy = STORE_COPY_RESULT_INIT;
	OK(store_view_move(v, &set, STR("Archive"), &copy, &w->why));
	assert_int_equal(copy.n, 2);
	assert_int_equal(status(w, "Archive").exists, 2);
	const struct store_changes *c = sync_view(w, v, STORE_SYNC_EXPUNGE);
	assert_int_equal(c->n_expunged, 2);
	assert_int_equal(c->expunged[0], 2);
	assert_int_equal(c->exists, 2);
	store_copy_result_clear(&copy);
	/* into itself: new UIDs at the end */
	set = set_of(w, v, 1, 1, true);
	OK(store_view_move(v, &set, STR("INBOX"), &copy, &w->why));
	assert_int_equal(copy.first.v, 5);
	sync_view(w, v, STORE_SYNC_EXPUNGE);
	assert_string_equal(uids_of(w, v), "4 5");
	OK(store_check(w->s, ALICE, &w->why));
}

static void test_expunge_set(void **state)
{
	struct world *w = *state;
	for (unsigned i = 0; i < 4; i++)
		put_to(w, "INBOX", "x", i == 3 ? 0 : STORE_DELETED);
	AUTO(store_view) struct store_view *v = view_of(w, "INBOX");
	struct store_set set = set_of(w, v, 2, 4, true);
	struct modseq m;
	put_to(w, "INBOX", "x", STORE_DELETED); /* not in the view: EXPUNGE must not touch it */
	OK(store_view_expunge(v, &set, &m, &w->why));
	assert_int_not_equal(m.v, 0);
	sync_view(w, v, STORE_SYNC_EXPUNGE);
	assert_string_equal(uids_of(w, v), "1 4 5");
	OK(store_view_expunge(v, NULL, &m, &w->why));
	sync_view(w, v, STORE_SYNC_EXPUNGE);
	assert_string_equal(uids_of(w, v), "4");
	OK(store_view_expunge(v, NULL, &m, &w->why));
	assert_int_equal(m.v, 0);
	OK(store_check(w->s, ALICE, &w->why));
}

/* What others expunged can still be read until it is told. */
static void test_expunged_is_readable(void **state)
{
	struct world *w = *state;
	put_to(w, "INBOX", "the text", STORE_DELETED);
	AUTO(store_view) struct store_view *a = view_of(w, "INBOX");
	AUTO(store_view) struct store_view *b = view_of(w, "INBOX");
	OK(store_view_expunge(b, NULL, NULL, &w->why));
	struct store_purge_result p;
	struct wall_us later = {clock_wall().v + 1000 * SEC_US};
	OK(store_purge(w->s, ALICE, later, 100, &p, &w->why));
	assert_int_equal(p.entries, 0); /* a needs it */
	sync_view(w, a, 0);
	struct store_message m = read_one(w, a, 1);
	AUTO(store_source) struct store_source src = STORE_SOURCE_INIT;
	OK(store_body_open(a, &m, &w->arena, &src, &w->why));
	assert_str(src.bytes, "the text");
	sync_view(w, a, STORE_SYNC_EXPUNGE);
	sync_view(w, b, STORE_SYNC_EXPUNGE);
	OK(store_purge(w->s, ALICE, later, 100, &p, &w->why));
	assert_int_equal(p.entries, 1);
	assert_int_equal(p.messages, 1);
	assert_int_equal(p.bodies, 1);
	FAILS(store_body_open(a, &m, &w->arena, &src, &w->why), FAIL_GONE);
	OK(store_check(w->s, ALICE, &w->why));
}

static void test_gone(void **state)
{
	struct world *w = *state;
	OK(create(w, "x"));
	put_to(w, "x", "x", 0);
	AUTO(store_view) struct store_view *v = view_of(w, "x");
	struct store_set all = set_of(w, v, 1, 1, true);
	OK(drop(w, "x"));
	const struct store_changes *c;
	struct store_flags_result res;
	struct store_flagset f = {.bits = STORE_SEEN};
	FAILS(store_view_sync(v, 0, &c, &w->why), FAIL_GONE);
	FAILS(store_view_store(v, &all, STORE_FLAGS_ADD, &f, NULL, &res, &w->why), FAIL_GONE);
	struct store_usage u;
	OK(store_account_usage(w->s, ALICE, &u, &w->why));
	assert_int_equal(u.messages, 0);
	struct store_purge_result p;
	struct wall_us later = {clock_wall().v + 1000 * SEC_US};
	OK(store_purge(w->s, (struct account_id){0}, later, 100, &p, &w->why));
	assert_int_equal(p.mailboxes, 1);
	assert_int_equal(p.messages, 1);
	OK(store_check(w->s, ALICE, &w->why));
}

static void test_account_delete(void **state)
{
	struct world *w = *state;
	AUTO(store_body) struct store_body b = body_of(w, 70000, 'x');
	struct store_append_message m = {.content = {.file = &b}};
	struct store_append a = {.account = ALICE, .mailbox = STR("INBOX"), .messages = &m, .n = 1};
	struct store_append_result res;
	OK(store_append(w->s, &a, &res, &w->why));
	AUTO(store_view) struct store_view *v = view_of(w, "INBOX");
	OK(store_account_delete(w->s, ALICE, &w->why));
	const struct store_changes *c;
	struct store_mailboxes l;
	FAILS(store_view_sync(v, 0, &c, &w->why), FAIL_GONE);
	FAILS(store_mailbox_list(w->s, ALICE, &w->arena, &l, &w->why), FAIL_NOTFOUND);
	struct store_stats st;
	store_get_stats(w->s, &st);
	assert_int_equal(st.swept, 1); /* the body file */
	OK(store_account_ensure(w->s, ALICE, store_default_folders, &w->why));
	OK(store_check(w->s, ALICE, &w->why));
}

/* ---- sleeping views ------------------------------------------------------------------------ */

static struct store_view *again(struct world *w, struct store_view *v, struct buf *out)
{
	buf_reset(out);
	OK(store_view_export(v, out, &w->why));
	store_view_close(v);
	OK(store_view_restore(w->s, buf_str(out), &v, &w->why));
	return v;
}

static uint64_t maps_of(struct world *w)
{
	struct store_stats st;
	store_get_stats(w->s, &st);
	return st.maps;
}

/* What a view has loaded stays for a while when it is closed, and is kept up to date. */
static void test_warm(void **state)
{
	struct world *w = *state;
	store_close(w->s);
	w->o.keep_maps_ns = 60 * SEC_NS;
	world_open(w);
	OK(store_account_ensure(w->s, ALICE, store_default_folders, &w->why));
	for (unsigned i = 0; i < 3; i++)
		put_to(w, "INBOX", "x", 0);
	struct store_view *v = view_of(w, "INBOX");
	assert_int_equal(maps_of(w), 0);
	assert_string_equal(uids_of(w, v), "1 2 3");
	store_view_close(v);
	assert_int_equal(maps_of(w), 1);
	put_to(w, "INBOX", "x", 0);
	for (unsigned i = 0; i < 2; i++) { /* opened again and again it is kept once */
		v = view_of(w, "INBOX");
		assert_string_equal(uids_of(w, v), "1 2 3 4");
		flag(w, v, 2, STORE_FLAGS_ADD, STORE_DELETED);
		store_view_close(v);
		assert_int_equal(maps_of(w), 1);
	}
	v = view_of(w, "INBOX");
	OK(store_view_expunge(v, NULL, NULL, &w->why));
	sync_view(w, v, STORE_SYNC_EXPUNGE);
	store_view_close(v);
	v = view_of(w, "INBOX");
	assert_string_equal(uids_of(w, v), "1 3 4");
	store_view_close(v);
	assert_true(store_maintain(w->s, &w->why) >= 0);
	assert_int_equal(maps_of(w), 1);
	clock_bend_us(clock_bent_us() + 61 * SEC_US);
	assert_true(store_maintain(w->s, &w->why) >= 0);
	assert_int_equal(maps_of(w), 0);
	clock_bend_us(0);
	v = view_of(w, "INBOX"); /* closing the store lets go of what is kept */
	assert_string_equal(uids_of(w, v), "1 3 4");
	store_view_close(v);
}

static void test_export(void **state)
{
	struct world *w = *state;
	AUTO(buf) struct buf out = BUF_INIT(KIB(64));
	for (unsigned i = 0; i < 6; i++)
		put_to(w, "INBOX", "x", 0);
	struct store_view *v = view_of(w, "INBOX");
	AUTO(store_view) struct store_view *other = view_of(w, "INBOX");
	v = again(w, v, &out);
	assert_int_equal(store_view_get_info(v)->recent, 6);
	/* while it sleeps: expunges, flags, new mail */
	OK(store_view_export(v, &out, &w->why));
	store_view_park(v);
	flag(w, other, 2, STORE_FLAGS_ADD, STORE_DELETED);
	flag(w, other, 5, STORE_FLAGS_ADD, STORE_DELETED);
	OK(store_view_expunge(other, NULL, NULL, &w->why));
	flag(w, other, 3, STORE_FLAGS_ADD, STORE_SEEN);
	put_to(w, "INBOX", "x", 0);
	v = again(w, v, &out);
	sync_view(w, other, STORE_SYNC_EXPUNGE);
	assert_string_equal(uids_of(w, v), "1 2 3 4 5 6");
	v = again(w, v, &out);
	const struct store_changes *c = sync_view(w, v, STORE_SYNC_EXPUNGE);
	assert_int_equal(c->n_expunged, 2);
	assert_int_equal(c->n_flags, 1);
	assert_int_equal(c->flags[0].seq, 2);
	assert_int_equal(c->exists, 5);
	assert_int_equal(c->recent, 4); /* the new one was shown to the other session first */
	v = again(w, v, &out);
	assert_string_equal(uids_of(w, v), "1 3 4 6 7");
	buf_reset(&out);
	OK(store_view_export(v, &out, &w->why));
	store_view_close(v);
	/* cut at every byte, and with one more */
	for (size_t n = 0; n < out.n; n++)
		FAILS(store_view_restore(w->s, str_make(out.p, n), &v, &w->why), FAIL_SYNTAX);
	buf_addc(&out, 0);
	FAILS(store_view_restore(w->s, buf_str(&out), &v, &w->why), FAIL_SYNTAX);
	buf_cut(&out, out.n - 1);
	/* history purged meanwhile */
	flag(w, other, 7, STORE_FLAGS_ADD, STORE_DELETED);
	OK(store_view_expunge(other, NULL, NULL, &w->why));
	sync_view(w, other, STORE_SYNC_EXPUNGE);
	struct store_purge_result p;
	OK(store_purge(w->s, ALICE, (struct wall_us){INT64_MAX}, 100, &p, &w->why));
	FAILS(store_view_restore(w->s, buf_str(&out), &v, &w->why), FAIL_CONFLICT);
	OK(store_check(w->s, ALICE, &w->why));
}

static void count_event(void *arg, const struct store_event *e)
{
	unsigned *n = arg;
	n[0]++;
	n[1] |= e->kinds;
}

static void test_watch(void **state)
{
	struct world *w = *state;
	unsigned box[2] = {0}, all[2] = {0};
	AUTO(store_view) struct store_view *v = view_of(w, "INBOX");
	AUTO(store_watch) struct store_watch *one = NULL;
	struct store_watch *any;
	OK(store_watch_add(w->s, ALICE, store_view_get_info(v)->mailbox, count_event, box, &one,
			   &w->why));
	OK(store_watch_add(w->s, ALICE, (struct mailbox_id){0}, count_event, all, &any, &w->why));
	put_to(w, "INBOX", "x", 0);
	put_to(w, "Sent", "x", 0);
	OK(create(w, "new"));
	store_watch_remove(any);
	assert_int_equal(box[0], 1);
	assert_int_equal(box[1], STORE_EVENT_NEW);
	assert_int_equal(all[0], 3);
	assert_int_equal(all[1], STORE_EVENT_NEW | STORE_EVENT_MAILBOXES);
	unsigned before = all[0];
	flag(w, v, 1, STORE_FLAGS_ADD, STORE_SEEN);
	assert_int_equal(all[0], before);
}

static void test_vanished(void **state)
{
	struct world *w = *state;
	for (unsigned i = 0; i < 6; i++)
		put_to(w, "INBOX", "x", i == 1 || i == 2 ? STORE_DELETED : 0);
	AUTO(store_view) struct store_view *v = view_of(w, "INBOX");
	struct modseq first = store_view_get_info(v)->highestmodseq;
	OK(store_view_expunge(v, NULL, NULL, &w->why));
	sync_view(w, v, STORE_SYNC_EXPUNGE);
	struct modseq second = store_view_get_info(v)->highestmodseq;
	flag(w, v, 5, STORE_FLAGS_ADD, STORE_DELETED);
	OK(store_view_expunge(v, NULL, NULL, &w->why));
	sync_view(w, v, STORE_SYNC_EXPUNGE);
	struct store_ranges r, all = {0};
	assert_int_equal(store_view_vanished(v, first, all, &w->arena, &r, &w->why), 1);
	assert_int_equal(r.n, 2);
	assert_int_equal(r.p[0].first, 2);
	assert_int_equal(r.p[0].last, 3);
	assert_int_equal(r.p[1].first, 5);
	assert_int_equal(store_view_vanished(v, second, all, &w->arena, &r, &w->why), 1);
	assert_int_equal(r.n, 1);
	struct store_range known = {3, 4};
	assert_int_equal(store_view_vanished(v, first, (struct store_ranges){&known, 1}, &w->arena,
					     &r, &w->why),
			 1);
	assert_int_equal(r.n, 1);
	assert_int_equal(r.p[0].first, 3);
	assert_int_equal(r.p[0].last, 3);
	struct store_purge_result p;
	OK(store_purge(w->s, ALICE, (struct wall_us){INT64_MAX}, 100, &p, &w->why));
	assert_int_equal(store_view_vanished(v, first, all, &w->arena, &r, &w->why), 0);
	assert_int_equal(r.n, 2);
	assert_int_equal(r.p[1].last, 5);
}

/* ---- delivery ------------------------------------------------------------------------------ */

static void test_deliver(void **state)
{
	struct world *w = *state;
	struct waiting x = {0};
	OK(deliver_one(w->s, 1, &x));
	assert_int_equal(x.d.uid.v, 1);
	assert_false(x.d.repeated);
	struct waiting y = {0};
	OK(deliver_one(w->s, 1, &y));
	assert_true(y.d.repeated);
	assert_int_equal(status(w, "INBOX").exists, 1);
	y = (struct waiting){.d = {.receipt.rcpt = 1}};
	OK(deliver_one(w->s, 1, &y)); /* another recipient */
	assert_int_equal(status(w, "INBOX").exists, 2);
	y = (struct waiting){.d = {.folder = STR("lists/c"), .folder_create = false}};
	OK(deliver_one(w->s, 2, &y));
	assert_int_equal(status(w, "INBOX").exists, 3);
	y = (struct waiting){.d = {.folder = STR("lists/c"), .folder_create = true}};
	OK(deliver_one(w->s, 3, &y));
	assert_int_equal(status(w, "lists/c").exists, 1);
	struct store_mailboxes l = list(w);
	assert_true(named(&l, "lists/c")->subscribed);
	y = (struct waiting){.d = {.folder = STR("bad//name"), .folder_create = true}};
	OK(deliver_one(w->s, 4, &y));
	assert_int_equal(status(w, "INBOX").exists, 4);
	y = (struct waiting){.d = {.account = {999}}};
	FAILS(deliver_one(w->s, 5, &y), FAIL_NOTFOUND);
	y = (struct waiting){.d = {.quota = {.messages = 5}}};
	FAILS(deliver_one(w->s, 6, &y), FAIL_QUOTA);
	y = (struct waiting){0};
	OK(deliver_one(w->s, 6, &y)); /* a failure leaves no receipt */
	OK(store_receipt_drop(w->s, ALICE, &x.d.receipt, 1, &w->why));
	y = (struct waiting){0};
	OK(deliver_one(w->s, 7, &y)); /* takes the lazy drop along */
	y = (struct waiting){0};
	OK(deliver_one(w->s, 1, &y));
	assert_false(y.d.repeated);
	OK(store_check(w->s, ALICE, &w->why));
}

/* Many at once: a batch with bad ones in it. */
static void test_deliver_batch(void **state)
{
	struct world *w = *state;
	enum { N = 200 };
	static struct waiting x[N];
	memset(x, 0, sizeof x);
	AUTO(store_body) struct store_body b = body_of(w, 80000, 'b');
	for (uint64_t i = 0; i < N; i++) {
		if (i % 10 == 3)
			x[i].d.quota.bytes = 1;
		if (i % 10 == 5)
			x[i].d.content.file = &b;
		deliver_start(w->s, &x[i], i / 2);
	}
	unsigned stored = 0, repeated = 0, failed = 0;
	for (unsigned i = 0; i < N; i++) {
		int r = deliver_end(&x[i]);
		assert_true(r == 0 || r == -FAIL_QUOTA);
		failed += r < 0;
		repeated += r == 0 && x[i].d.repeated;
		stored += r == 0 && !x[i].d.repeated;
	}
	assert_int_equal(stored, N / 2);
	assert_int_equal(stored + repeated + failed, N);
	assert_int_equal(status(w, "INBOX").exists, N / 2);
	OK(store_check(w->s, ALICE, &w->why));
}

static void test_body_lives_as_long_as_needed(void **state)
{
	struct world *w = *state;
	AUTO(store_body) struct store_body b = body_of(w, 80000, 'b');
	struct waiting x = {.d = {.content = {.file = &b}}};
	OK(deliver_one(w->s, 1, &x));
	x = (struct waiting){.d = {.content = {.file = &b}, .receipt = {.rcpt = 2}}};
	OK(deliver_one(w->s, 1, &x));
	AUTO(store_view) struct store_view *v = view_of(w, "INBOX");
	AUTO(store_copy_result) struct store_copy_result copy = STORE_COPY_RESULT_INIT;
	struct store_set one = set_of(w, v, 1, 1, true);
	OK(store_view_copy(v, &one, STR("Trash"), NULL, &copy, &w->why));
	for (unsigned round = 0; round < 3; round++) {
		struct store_stats st;
		store_get_stats(w->s, &st);
		assert_int_equal(st.swept, 0);
		AUTO(store_view)
		struct store_view *t = view_of(w, round == 1 ? "Trash" : "INBOX");
		uint32_t uid = round == 2 ? 2 : 1;
		flag(w, t, uid, STORE_FLAGS_ADD, STORE_DELETED);
		OK(store_view_expunge(t, NULL, NULL, &w->why));
		sync_view(w, t, STORE_SYNC_EXPUNGE);
		sync_view(w, v, STORE_SYNC_EXPUNGE);
		struct store_purge_result p;
		OK(store_purge(w->s, ALICE, (struct wall_us){INT64_MAX}, 100, &p, &w->why));
		assert_int_equal(p.entries, 1);
		assert_int_equal(p.bodies, round == 2);
		OK(store_check(w->s, ALICE, &w->why));
	}
	struct store_stats st;
	store_get_stats(w->s, &st);
	assert_int_equal(st.swept, 1);
}

/* ---- a client's idea of the mailbox against the store's ------------------------------------- */

struct client {
	struct store_view *v;
	uint32_t uid[4000];
	uint64_t flags[4000];
	uint32_t n;
};

static uint32_t seed;

static uint32_t chance(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

/* Read the view; what the client knew of it must be what it was told. */
static void client_read(struct world *w, struct client *c)
{
	struct store_set set;
	struct store_message m;
	AUTO(store_reader) struct store_reader *r = NULL;
	OK(store_view_all(c->v, &w->arena, &set, &w->why));
	OK(store_read_begin(c->v, &set, 0, (struct modseq){0}, &r, &w->why));
	uint32_t n = 0;
	while (store_read_next(r, &m, &w->why) > 0) {
		assert_true(n < ARRAY_LEN(c->uid));
		if (n < c->n) {
			assert_int_equal(c->uid[n], m.uid.v);
			assert_int_equal(c->flags[n], m.flags);
		}
		c->uid[n] = m.uid.v;
		c->flags[n++] = m.flags;
	}
	assert_int_equal(n, store_view_get_info(c->v)->exists);
	assert_true(n >= c->n);
	c->n = n;
}

static void client_sync(struct world *w, struct client *c, bool expunge)
{
	const struct store_changes *ch = sync_view(w, c->v, expunge ? STORE_SYNC_EXPUNGE : 0);
	for (size_t i = 0; i < ch->n_expunged; i++) {
		uint32_t at = ch->expunged[i] - (uint32_t)i - 1;
		assert_true(at < c->n);
		assert_int_equal(c->uid[at], ch->expunged_uids[i].v);
		memmove(&c->uid[at], &c->uid[at + 1], (c->n - at - 1) * sizeof c->uid[0]);
		memmove(&c->flags[at], &c->flags[at + 1], (c->n - at - 1) * sizeof c->flags[0]);
		c->n--;
	}
	for (size_t i = 0; i < ch->n_flags; i++) {
		uint32_t at = ch->flags[i].seq - 1;
		assert_true(at < c->n);
		assert_int_equal(c->uid[at], ch->flags[i].uid.v);
		c->flags[at] = ch->flags[i].flags;
	}
	assert_true(ch->exists >= c->n);
	assert_int_equal(ch->exists != c->n, ch->exists_changed);
	uint32_t recent = 0;
	client_read(w, c);
	for (uint32_t i = 0; i < c->n; i++)
		recent += (c->flags[i] & STORE_RECENT) != 0;
	assert_int_equal(recent, ch->recent);
	assert_int_equal(c->n, ch->exists);
}

static void client_store(struct world *w, struct client *c)
{
	static const uint32_t bits[] = {STORE_SEEN, STORE_DELETED, STORE_FLAGGED};
	if (c->n == 0)
		return;
	uint32_t lo = 1 + chance(c->n), more = chance(4);
	uint32_t hi = MIN(c->n, lo + more);
	struct store_set set = set_of(w, c->v, lo, hi, false);
	struct store_flagset f = {.bits = bits[chance(3)]};
	AUTO(store_flags_result) struct store_flags_result res = STORE_FLAGS_RESULT_INIT;
	enum store_flags_how how = chance(3) == 0 ? STORE_FLAGS_REMOVE : STORE_FLAGS_ADD;
	OK(store_view_store(c->v, &set, how, &f, NULL, &res, &w->why));
	assert_int_equal(res.n + res.gone, set.count);
	for (size_t i = 0; i < res.n; i++) {
		uint32_t at = res.rows[i].now.seq - 1;
		assert_int_equal(c->uid[at], res.rows[i].now.uid.v);
		c->flags[at] = res.rows[i].now.flags;
	}
}

static void client_step(struct world *w, struct client *c, struct buf *out)
{
	switch (chance(10)) {
	case 0:
	case 1:
		put_to(w, "INBOX", "x", chance(2) ? STORE_SEEN : 0);
		break;
	case 2:
	case 3:
	case 4:
		client_store(w, c);
		break;
	case 5:
		OK(store_view_expunge(c->v, NULL, NULL, &w->why));
		break;
	case 6:
		client_sync(w, c, true);
		break;
	case 7:
		client_sync(w, c, false);
		break;
	case 8:
		store_view_park(c->v);
		break;
	default:
		if (chance(2))
			c->v = again(w, c->v, out);
		else if (chance(4) == 0)
			OK(store_purge(w->s, ALICE, (struct wall_us){INT64_MAX}, 5,
				       &(struct store_purge_result){0}, &w->why));
	}
}

static void test_random_clients(void **state)
{
	struct world *w = *state;
	static struct client c[3];
	AUTO(buf) struct buf out = BUF_INIT(KIB(64));
	seed = 4711;
	for (unsigned i = 0; i < 60; i++)
		put_to(w, "INBOX", "x", chance(2) ? STORE_SEEN : 0);
	for (unsigned i = 0; i < 3; i++) {
		memset(&c[i], 0, sizeof c[i]);
		c[i].v = view_of(w, "INBOX");
		client_read(w, &c[i]);
	}
	for (unsigned step = 0; step < 3000; step++) {
		client_step(w, &c[chance(3)], &out);
		if (step % 50 == 0)
			OK(store_check(w->s, ALICE, &w->why));
		arena_reset(&w->arena);
	}
	for (unsigned i = 0; i < 3; i++)
		store_view_close(c[i].v);
	OK(store_check(w->s, ALICE, &w->why));
}

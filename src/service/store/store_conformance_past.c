/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_conformance_past.c - the sixth part of store_conformance.c: a mailbox as it was.
 */

static struct wall_us moment(void)
{
	(void)usleep(2000);
	struct wall_us now = clock_wall();
	(void)usleep(2000);
	return now;
}

static void expunge_uid(struct world *w, uint32_t uid)
{
	struct store_view *v = view_of(w, "INBOX");
	flag(w, v, uid, STORE_FLAGS_ADD, STORE_DELETED);
	OK(store_view_expunge(v, NULL, NULL, &w->why));
	store_view_close(v);
}

static struct store_view *past_of(struct world *w, struct wall_us at)
{
	struct store_view *v;
	OK(store_view_open_past(w->s, ALICE, STR("inbox"), at, &v, &w->why));
	return v;
}

static void expect_past(struct world *w, struct wall_us at, const char *uids)
{
	struct store_view *v = past_of(w, at);
	assert_string_equal(uids_of(w, v), uids);
	AUTO(buf) struct buf out = BUF_INIT(KIB(4));
	OK(store_view_export(v, &out, &w->why));
	store_view_close(v);
	OK(store_view_restore(w->s, buf_str(&out), &v, &w->why));
	assert_string_equal(uids_of(w, v), uids);
	assert_true(store_view_get_info(v)->read_only);
	const struct store_changes *c;
	assert_int_equal(store_view_sync(v, STORE_SYNC_EXPUNGE, &c, &w->why), 0);
	assert_string_equal(uids_of(w, v), uids);
	store_view_close(v);
}

static void test_past(void **state)
{
	struct world *w = *state;
	struct wall_us t[5];
	t[0] = moment();
	put_to(w, "INBOX", "one", STORE_FLAGGED);
	put_to(w, "INBOX", "two", 0);
	t[1] = moment();
	expunge_uid(w, 1);
	put_to(w, "INBOX", "three", 0);
	t[2] = moment();
	struct store_view *open = past_of(w, t[1]);
	expunge_uid(w, 3);
	expunge_uid(w, 2);
	t[3] = moment();
	put_to(w, "INBOX", "four", 0);
	t[4] = moment();
	const char *const expected[] = {"", "1 2", "2 3", "", "4"};
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		expect_past(w, t[i], expected[i]);
	assert_string_equal(uids_of(w, open), "1 2");
	store_view_park(open);
	assert_string_equal(uids_of(w, open), "1 2");
	/* Nothing changes it, and nothing is changed by it. */
	struct store_set set = set_of(w, open, 1, 2, true);
	struct store_flagset f = {.bits = STORE_SEEN};
	AUTO(store_flags_result) struct store_flags_result res = STORE_FLAGS_RESULT_INIT;
	FAILS(store_view_store(open, &set, STORE_FLAGS_ADD, &f, NULL, &res, &w->why), FAIL_PERM);
	/* COPY takes out of it what is gone. */
	AUTO(store_copy_result) struct store_copy_result copied = STORE_COPY_RESULT_INIT;
	OK(store_view_copy(open, &set, STR("INBOX"), NULL, &copied, &w->why));
	assert_int_equal(copied.n, 2);
	struct store_view *now = view_of(w, "INBOX");
	assert_string_equal(uids_of(w, now), "4 5 6");
	store_view_close(now);
	store_view_close(open);
	/* What was purged is not shown, and it is not shown that nothing was there. */
	struct store_purge_result purged;
	OK(store_purge(w->s, ALICE, t[3], 100, &purged, &w->why));
	assert_true(purged.entries == 3);
	store_set_retention(w->s, 1);
	struct store_view *v;
	FAILS(store_view_open_past(w->s, ALICE, STR("INBOX"), t[2], &v, &w->why), FAIL_NOTFOUND);
	FAILS(store_view_open_past(w->s, ALICE, STR("none"), t[2], &v, &w->why), FAIL_NOTFOUND);
	OK(store_check(w->s, ALICE, &w->why));
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_conformance_ids.c - the third part of store_conformance.c: threads, save dates, zones,
 * sizes of what is marked deleted.
 */
#include "codec/mime/index.h"

/* APPEND with the map that the scan role would make; its UID. */
static uint32_t put_indexed(struct world *w, const char *mailbox, const char *text)
{
	AUTO(arena) struct arena arena = ARENA_INIT(MIB(4));
	AUTO(mime_index) struct mime_index *ix = mime_index_new(NULL, NULL, &arena);
	AUTO(buf) struct buf bytes = BUF_INIT(MIB(1));
	struct mime_map *map;
	mime_index_feed(ix, str_c(text));
	OK(mime_index_finish(ix, &map, &w->why));
	OK(mime_map_write(map, &bytes));
	struct store_append_message m = {.content = {.bytes = str_c(text), .map = buf_str(&bytes)},
					 .zone_min = -90};
	struct store_append a = {
		.account = ALICE, .mailbox = str_c(mailbox), .messages = &m, .n = 1};
	struct store_append_result res;
	OK(store_append(w->s, &a, &res, &w->why));
	return res.first.v;
}

/* One message of a mailbox with these columns. */
static struct store_message message_at(struct world *w, const char *mailbox, uint32_t uid)
{
	AUTO(store_view) struct store_view *v = view_of(w, mailbox);
	AUTO(store_reader) struct store_reader *r = NULL;
	struct store_set set = set_of(w, v, uid, uid, true);
	struct store_message m;
	OK(store_read_begin(v, &set, STORE_COL_DATES | STORE_COL_SAVED, (struct modseq){0}, &r,
			    &w->why));
	assert_int_equal(store_read_next(r, &m, &w->why), 1);
	return m;
}

static uint64_t thread_at(struct world *w, const char *mailbox, uint32_t uid)
{
	return message_at(w, mailbox, uid).thread.v;
}

#define FIRST	"Message-ID: <1@x>\r\nSubject: Lunch\r\n\r\n"
#define REPLY	"Message-ID: <2@x>\r\nSubject: Re: lunch\r\nIn-Reply-To: <1@x>\r\n\r\n"
#define DEEPER	"Message-ID: <4@x>\r\nSubject: RE: Re: Lunch\r\nReferences: <1@x>\r\n <3@x>\r\n\r\n"
#define MISSING "Message-ID: <3@x>\r\nSubject: Lunch\r\n\r\n"
#define OTHER	"Message-ID: <5@x>\r\nSubject: Dinner\r\nIn-Reply-To: <1@x>\r\n\r\n"

static void test_threads(void **state)
{
	struct world *w = *state;
	uint32_t first = put_indexed(w, "INBOX", FIRST);
	uint32_t reply = put_indexed(w, "Sent", REPLY);
	uint32_t deeper = put_indexed(w, "INBOX", DEEPER);
	uint64_t thread = thread_at(w, "INBOX", first);
	assert_int_equal(thread, message_at(w, "INBOX", first).id.v);
	assert_int_equal(thread_at(w, "Sent", reply), thread);
	assert_int_equal(thread_at(w, "INBOX", deeper), thread);
	/* What a reply referred to joins when it comes later; another subject does not. */
	assert_int_equal(thread_at(w, "INBOX", put_indexed(w, "INBOX", MISSING)), thread);
	uint32_t other = put_indexed(w, "INBOX", OTHER);
	assert_int_equal(thread_at(w, "INBOX", other), message_at(w, "INBOX", other).id.v);
	/* Without any id each stands alone. */
	uint32_t a = put_indexed(w, "INBOX", "Subject: x\r\n\r\n");
	uint32_t b = put_indexed(w, "INBOX", "Subject: x\r\n\r\n");
	assert_int_not_equal(thread_at(w, "INBOX", a), thread_at(w, "INBOX", b));
}

static void expunge_all(struct world *w, const char *mailbox)
{
	AUTO(store_view) struct store_view *v = view_of(w, mailbox);
	struct store_set set = set_of(w, v, 1, STORE_STAR, true);
	struct store_flagset f = {.bits = STORE_DELETED};
	AUTO(store_flags_result) struct store_flags_result res = STORE_FLAGS_RESULT_INIT;
	struct store_purge_result purged;
	OK(store_view_store(v, &set, STORE_FLAGS_ADD, &f, NULL, &res, &w->why));
	OK(store_view_expunge(v, NULL, NULL, &w->why));
	store_view_close(TAKE(v));
	OK(store_purge(w->s, ALICE, (struct wall_us){INT64_MAX}, 100, &purged, &w->why));
}

/* A thread lives as long as one of its messages: its name stays though the first one is gone. */
static void test_thread_ends(void **state)
{
	struct world *w = *state;
	uint64_t thread = thread_at(w, "INBOX", put_indexed(w, "INBOX", FIRST));
	(void)put_indexed(w, "Sent", REPLY);
	expunge_all(w, "INBOX");
	assert_int_equal(thread_at(w, "INBOX", put_indexed(w, "INBOX", DEEPER)), thread);
	expunge_all(w, "INBOX");
	expunge_all(w, "Sent");
	uint32_t again = put_indexed(w, "INBOX", FIRST);
	assert_int_not_equal(thread_at(w, "INBOX", again), thread);
	assert_int_equal(thread_at(w, "INBOX", again), message_at(w, "INBOX", again).id.v);
	OK(store_check(w->s, ALICE, &w->why));
}

static void test_saved_and_zone(void **state)
{
	struct world *w = *state;
	(void)put_indexed(w, "INBOX", FIRST);
	struct store_message original = message_at(w, "INBOX", 1);
	assert_int_equal(original.zone_min, -90);
	assert_true(original.saved.v > 0);
	AUTO(store_view) struct store_view *v = view_of(w, "INBOX");
	struct store_set set = set_of(w, v, 1, 1, true);
	AUTO(store_copy_result) struct store_copy_result res = STORE_COPY_RESULT_INIT;
	OK(store_view_copy(v, &set, STR("Sent"), NULL, &res, &w->why));
	struct store_message copy = message_at(w, "Sent", 1);
	assert_true(copy.saved.v > original.saved.v);
	assert_int_equal(copy.internaldate.v, original.internaldate.v);
	assert_int_equal(copy.zone_min, -90);
	assert_int_equal(copy.id.v, original.id.v);
	assert_int_equal(copy.thread.v, original.thread.v);
	assert_int_equal(message_at(w, "INBOX", 1).saved.v, original.saved.v);
}

/* A message whose map tells its size. */
static void put_mapped(struct world *w, const char *mailbox, unsigned n)
{
	char body[64], map[4000];
	memset(body, 'b', sizeof body);
	memset(map, 'm', sizeof map);
	(void)snprintf(map, sizeof map, "%u", n % 60);
	struct store_append_message m = {.content = {.prefix = STR("p"),
						     .bytes = str_make(body, n % 60),
						     .map = str_make(map, sizeof map)}};
	struct store_append a = {
		.account = ALICE, .mailbox = str_c(mailbox), .messages = &m, .n = 1};
	struct store_append_result res;
	OK(store_append(w->s, &a, &res, &w->why));
}

static void copy_one(struct world *w, struct store_view *v, uint32_t uid, struct str to)
{
	struct store_set set = set_of(w, v, uid, uid, true);
	AUTO(store_copy_result) struct store_copy_result res = STORE_COPY_RESULT_INIT;
	OK(store_view_copy(v, &set, to, NULL, &res, &w->why));
}

/* Rows of all messages of a mailbox are those of each message by itself. */
static void read_everything(struct world *w, const char *mailbox, uint32_t want)
{
	AUTO(store_view) struct store_view *v = view_of(w, mailbox);
	AUTO(store_reader) struct store_reader *r = NULL;
	struct store_set set;
	struct store_message m;
	uint32_t n = 0;
	OK(store_view_all(v, &w->arena, &set, &w->why));
	OK(store_read_begin(v, &set, STORE_COL_PREFIX | STORE_COL_MAP, (struct modseq){0}, &r,
			    &w->why));
	while (store_read_next(r, &m, &w->why) > 0) {
		assert_int_equal(m.seq, ++n);
		assert_int_equal(m.size, m.body_size + 1);
		assert_int_equal(m.map.n, 4000);
		assert_int_equal(strtoul(m.map.p, NULL, 10), m.body_size);
		assert_true(str_eq(m.prefix, STR("p")));
	}
	assert_int_equal(n, want);
}

/* Ids that rise without gaps, that fall, that come twice, and that lie among those of others. */
static void test_rows_in_any_order(void **state)
{
	struct world *w = *state;
	for (unsigned i = 0; i < 400; i++) {
		put_mapped(w, "INBOX", i);
		if (i % 7 == 0 || (i > 100 && i < 130))
			put_mapped(w, "Sent", i + 1);
	}
	AUTO(store_view) struct store_view *v = view_of(w, "INBOX");
	for (uint32_t uid = 300; uid > 250; uid--)
		copy_one(w, v, uid, STR("Sent"));
	for (uint32_t uid = 1; uid <= 30; uid++)
		copy_one(w, v, uid, STR("INBOX"));
	read_everything(w, "INBOX", 430);
	read_everything(w, "Sent", status(w, "Sent").exists);
	flag(w, v, 17, STORE_FLAGS_ADD, STORE_DELETED);
	flag(w, v, 200, STORE_FLAGS_ADD, STORE_DELETED);
	OK(store_view_expunge(v, NULL, NULL, &w->why));
	read_everything(w, "INBOX", 428);
}

static void test_deleted_size(void **state)
{
	struct world *w = *state;
	put_to(w, "INBOX", "12345", 0);
	put_to(w, "INBOX", "1234567", STORE_DELETED);
	uint64_t prefix = STR("Received: x\r\n").n;
	assert_int_equal(status(w, "INBOX").deleted_size, prefix + 7);
	AUTO(store_view) struct store_view *v = view_of(w, "INBOX");
	flag(w, v, 1, STORE_FLAGS_ADD, STORE_DELETED);
	assert_int_equal(status(w, "INBOX").deleted_size, 2 * prefix + 12);
	flag(w, v, 2, STORE_FLAGS_REMOVE, STORE_DELETED);
	assert_int_equal(status(w, "INBOX").deleted_size, prefix + 5);
	OK(store_check(w->s, ALICE, &w->why));
	OK(store_view_expunge(v, NULL, NULL, &w->why));
	assert_int_equal(status(w, "INBOX").deleted_size, 0);
	OK(store_check(w->s, ALICE, &w->why));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Contexts, with small windows and with every session moved after each command, too; what a long
 * search and many messages need. */
#include "proto/imap/context.h"
#include "proto/imap/dialogue.h"

static void lists_come_back(void **state)
{
	(void)state;
	static const uint32_t none[] = {0}, one[] = {1}, up[] = {1, 2, 3, 7, 8, 4000000000u};
	static const uint32_t mixed[] = {9, 3, 4, 5, 1, UINT32_MAX, 2};
	static const struct {
		const uint32_t *uid;
		size_t n, bytes;
	} rows[] = {{none, 0, 0}, {one, 1, 2}, {up, 6, 10}, {mixed, 7, 18}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(buf) struct buf b = BUF_INIT(KIB(1));
		uint32_t *uid = NULL;
		size_t n = 0;
		context_list_put(&b, rows[i].uid, rows[i].n);
		assert_int_equal(b.n, rows[i].bytes);
		assert_true(context_list_get(buf_str(&b), &uid, &n));
		assert_int_equal(n, rows[i].n);
		if (n)
			assert_memory_equal(uid, rows[i].uid, n * sizeof *uid);
		free(uid);
	}
}

static void foreign_bytes(void **state)
{
	(void)state;
	static const struct str rows[] = {
		{"\0\0", 2},		       /* no distance */
		{"\5", 1},		       /* cut */
		{"\1\1", 2},		       /* below the beginning */
		{"\5\0\5\1", 4},	       /* down to 0 */
		{"\1\xfe\xff\xff\xff\x0f", 6}, /* too many */
		{"\x81\0\0", 3},	       /* not the shortest form */
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint32_t *uid = NULL;
		size_t n = 0;
		assert_false(context_list_get(rows[i], &uid, &n));
	}
}

static void updates(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"+ INBOX (\\Seen) Subject: c\r\n\r\n",
		"+ INBOX (\\Seen) Subject: a\r\n\r\n",
		"+ INBOX Subject: b\r\n\r\n",
		SELECT_UNSEEN("A", 3, 3, 3),
		"A: a1 SEARCH RETURN (UPDATE ALL) 1:2 SEEN",
		"A= * ESEARCH (TAG \"a1\") ALL 1:2",
		"A= a1 OK ~",
		"A: a2 UID SORT RETURN (UPDATE) (REVERSE SUBJECT) UTF-8 SEEN",
		"A= * ESEARCH (TAG \"a2\") UID",
		"A= a2 OK ~",
		"A: a3 STORE 1:3 +FLAGS.SILENT (\\Seen)",
		"A= * ESEARCH (TAG \"a2\") UID ADDTO (2 3)",
		"A= a3 OK ~",
		"A: a4 STORE 1,3 -FLAGS.SILENT (\\Seen)",
		"A= * ESEARCH (TAG \"a2\") UID REMOVEFROM (1 1,3)",
		"A= * ESEARCH (TAG \"a1\") REMOVEFROM (0 1)",
		"A= a4 OK ~",
		"A: a5 IDLE",
		"A= + ~",
		SELECT_UNSEEN("B", 3, 0, 1),
		"B: b1 STORE 1:2 +FLAGS.SILENT (\\Deleted \\Seen)",
		"B= b1 OK ~",
		"A= * 1 FETCH ~",
		"A= * 2 FETCH ~",
		"A= * ESEARCH (TAG \"a2\") UID ADDTO (1 1)",
		"A= * ESEARCH (TAG \"a1\") ADDTO (0 1)",
		"B: b2 EXPUNGE",
		"B= * 2 EXPUNGE",
		"B= * 1 EXPUNGE",
		"B= b2 OK ~",
		"A= * ESEARCH (TAG \"a2\") UID REMOVEFROM (1 1:2)",
		"A= * ESEARCH (TAG \"a1\") REMOVEFROM (0 1:2)",
		"A= * 2 EXPUNGE",
		"A= * 1 EXPUNGE",
		"A= * 1 RECENT",
		"A: DONE",
		"A= a5 OK ~",
		"A: a6 CANCELUPDATE \"a2\" \"a2\"",
		"A= a6 OK ~",
		"A: a7 STORE 1 +FLAGS.SILENT (\\Seen)",
		"A= a7 OK ~",
		"A: a8 CANCELUPDATE \"a1\" \"a2\"",
		"A= a8 BAD ~",
		"A: a1 SEARCH RETURN (UPDATE) ALL",
		"A= a1 BAD ~",
		NULL,
	};
	dialogue(rows);
}

static void many_messages(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"+ INBOX " PLAIN,
		SELECT_UNSEEN("A", 1, 1, 1),
		"A: a0 UIDBATCHES 500",
		"A= * UIDBATCHES (TAG \"a0\") 1:1",
		"A= a0 OK ~",
		"A: b0 COPY 1:* INBOX",
		"A= * 2 EXISTS",
		"A= * 2 RECENT",
		"A= b0 OK ~",
		"A: b1 COPY 1:* INBOX",
		"A= * 4 EXISTS",
		"A= * 4 RECENT",
		"A= b1 OK ~",
		"A: b2 COPY 1:* INBOX",
		"A= * 8 EXISTS",
		"A= * 8 RECENT",
		"A= b2 OK ~",
		"A: b3 COPY 1:* INBOX",
		"A= * 16 EXISTS",
		"A= * 16 RECENT",
		"A= b3 OK ~",
		"A: b4 COPY 1:* INBOX",
		"A= * 32 EXISTS",
		"A= * 32 RECENT",
		"A= b4 OK ~",
		"A: b5 COPY 1:* INBOX",
		"A= * 64 EXISTS",
		"A= * 64 RECENT",
		"A= b5 OK ~",
		"A: b6 COPY 1:* INBOX",
		"A= * 128 EXISTS",
		"A= * 128 RECENT",
		"A= b6 OK ~",
		"A: b7 COPY 1:* INBOX",
		"A= * 256 EXISTS",
		"A= * 256 RECENT",
		"A= b7 OK ~",
		"A: b8 COPY 1:* INBOX",
		"A= * 512 EXISTS",
		"A= * 512 RECENT",
		"A= b8 OK ~",
		"A: b9 COPY 1:* INBOX",
		"A= * 1024 EXISTS",
		"A= * 1024 RECENT",
		"A= b9 OK ~",
		"A: c1 UIDBATCHES 500",
		"A= * UIDBATCHES (TAG \"c1\") 1024:525,524:25,24:1",
		"A= c1 OK ~",
		"A: c2 UIDBATCHES 500 3:2",
		"A= * UIDBATCHES (TAG \"c2\") 524:25,24:1",
		"A= c2 OK ~",
		"A: c3 UIDBATCHES 1024 1:1",
		"A= * UIDBATCHES (TAG \"c3\") 1024:1",
		"A= c3 OK ~",
		"A: c4 UIDBATCHES 500 4:9",
		"A= * UIDBATCHES (TAG \"c4\")",
		"A= c4 OK ~",
		"A: c5 UIDBATCHES 499",
		"A= c5 NO [TOOSMALL] ~",
		"A: c6 UIDBATCHES 500 0:1",
		"A= c6 BAD ~",
		/* RFC 9585: how far a search is that takes its time */
		"A: d1 SEARCH RETURN (COUNT) TEXT joe",
		"A= * OK [INPROGRESS (\"d1\" 256 1024)] ~",
		"A= * OK [INPROGRESS (\"d1\" 512 1024)] ~",
		"A= * OK [INPROGRESS (\"d1\" 768 1024)] ~",
		"A= * OK [INPROGRESS (\"d1\" 1024 1024)] ~",
		"A= * ESEARCH (TAG \"d1\") COUNT 1024",
		"A= d1 OK ~",
		NULL,
	};
	world_progress_ns = 0;
	dialogue(rows);
}

/* RFC 7377: more mailboxes than are searched in one turn. */
static void many_mailboxes(void **state)
{
	(void)state;
	enum { BOXES = 120 };
	AUTO(arena) struct arena a = ARENA_INIT(MIB(1));
	const char *rows[4 * BOXES + 3];
	size_t n = 0;
	for (unsigned i = 0; i < BOXES; i++) {
		rows[n++] = arena_printf(&a, "A: c%u CREATE box%03u", i, i).p;
		rows[n++] = arena_printf(&a, "A= c%u OK ~", i).p;
		rows[n++] = arena_printf(&a, "+ box%03u " PLAIN, i).p;
	}
	rows[n++] = "A: e1 ESEARCH IN (personal) RETURN (COUNT) TEXT joe";
	for (unsigned i = 0; i < BOXES; i++)
		rows[n++] =
			arena_printf(&a, "A= * ESEARCH (TAG \"e1\" MAILBOX box%03u ~ COUNT 1", i).p;
	rows[n++] = "A= e1 OK ~";
	rows[n] = NULL;
	dialogue(rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_come_back), cmocka_unit_test(foreign_bytes),
		cmocka_unit_test(updates),	   cmocka_unit_test(many_messages),
		cmocka_unit_test(many_mailboxes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metadata_test.c - METADATA (RFC 5464), LIST-METADATA (RFC 9590), /private/specialuse (RFC 6154),
 * as dialogues.
 */
#include "proto/imap/dialogue.h"

static void both(const char *const *rows)
{
	dialogue(rows);
	dialogue_in_mode(rows, MODE_EXTERNAL);
}

static void values_are_kept(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"A: a SETMETADATA INBOX (/private/comment {33+}\r\nMy new comment across\r\ntwo "
		"lines. /shared/Comment \"all\")",
		"A= a OK ~",
		"B: b GETMETADATA inbox (/SHARED/comment /private/comment /private/none)",
		"B= * METADATA INBOX (/shared/comment \"all\" /private/comment {33}",
		"B= My new comment across",
		"B= two lines. /private/none NIL)",
		"B= b OK GETMETADATA completed.",
		"A: c SETMETADATA INBOX (/private/comment NIL /shared/comment \"\")",
		"A= c OK ~",
		"A: d GETMETADATA INBOX /private/comment /shared/comment",
		"A= * METADATA INBOX (/private/comment NIL /shared/comment \"\")",
		"A= d OK ~",
		"A: e GETMETADATA none /private/comment",
		"A= e NO [NONEXISTENT] ~",
		"A: f SETMETADATA none (/private/comment \"x\")",
		"A= f NO [NONEXISTENT] ~",
		"A: g RENAME Drafts d&-d",
		"A= g OK ~",
		"A: h SETMETADATA d&-d (/private/vendor/me/x ~{3+}\r\na\"b /private/e "
		"{4+}\r\n\xc3\xa4\xc3\xb6)",
		"A= h OK ~",
		"A: i GETMETADATA d&-d (DEPTH infinity) /private",
		"A= * METADATA d&-d (/private/e {4}",
		"A= \xc3\xa4\xc3\xb6 /private/vendor/me/x \"a\\\"b\" /private/specialuse "
		"\"\\\\Drafts\")",
		"A= i OK ~",
		NULL,
	};
	both(rows);
}

static void depth_and_size(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"A: a SETMETADATA INBOX (/shared/a \"1\" /shared/a/b \"22\" /shared/a/b/c \"333\" "
		"/shared/ab \"4444\")",
		"A= a OK ~",
		"A: b GETMETADATA INBOX (DEPTH 0) /shared/a",
		"A= * METADATA INBOX (/shared/a \"1\")",
		"A= b OK ~",
		"A: c GETMETADATA INBOX (DEPTH 1) /shared/a",
		"A= * METADATA INBOX (/shared/a \"1\" /shared/a/b \"22\")",
		"A= c OK ~",
		"A: d GETMETADATA INBOX (DEPTH infinity MAXSIZE 2) (/shared/a /shared/a/b)",
		"A= * METADATA INBOX (/shared/a \"1\" /shared/a/b \"22\")",
		"A= d OK [METADATA LONGENTRIES 3] ~",
		"A: e GETMETADATA (MAXSIZE 0) INBOX (/shared/ab /shared/a/b/c)",
		"A= e OK [METADATA LONGENTRIES 4] ~",
		"A: f GETMETADATA INBOX (DEPTH 1) /private/nothing",
		"A= f OK GETMETADATA completed.",
		NULL,
	};
	both(rows);
}

static void refused(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"A: a SETMETADATA \"\" (/shared/comment \"mine\")",
		"A= a NO [NOPERM] ~",
		"A: b SETMETADATA \"\" (/private/comment \"mine\")",
		"A= b OK ~",
		"B: c GETMETADATA \"\" (/private/comment /shared/comment /shared/admin)",
		"B= * METADATA \"\" (/private/comment \"mine\" /shared/comment NIL /shared/admin "
		"NIL)",
		"B= c OK ~",
		"A: d SETMETADATA INBOX (/other/x \"mine\")",
		"A= d BAD ~",
		/* all or none */
		"A: e SETMETADATA INBOX (/private/x \"y\" /private/specialuse \"\\\\All\")",
		"A= e NO [USEATTR] ~",
		"A: f GETMETADATA INBOX /private/x",
		"A= * METADATA INBOX (/private/x NIL)",
		"A= f OK ~",
		NULL,
	};
	both(rows);
	struct world w;
	world_open(&w, 0);
	AUTO(buf) struct buf bytes = BUF_INIT(MIB(1));
	buf_addf(&bytes, "A: a SETMETADATA INBOX (/shared/x \"y\" /shared/y {%u+}\r\n",
		 STORE_ANNOTATION_VALUE_MAX + 1);
	for (unsigned i = 0; i <= STORE_ANNOTATION_VALUE_MAX; i++)
		buf_addc(&bytes, 'x');
	buf_addc(&bytes, ')');
	world_row(&w, buf_c(&bytes));
	world_row(&w, "A= a NO [METADATA MAXSIZE 32768] ~");
	world_row(&w, "A: b GETMETADATA INBOX /shared/x");
	world_row(&w, "A= * METADATA INBOX (/shared/x NIL)");
	world_row(&w, "A= b OK ~");
	world_close(&w);
}

static void uses_move(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"A: a CREATE SavedDrafts",
		"A= a OK ~",
		"A: b GETMETADATA Drafts /private/specialuse",
		"A= * METADATA Drafts (/private/specialuse \"\\\\Drafts\")",
		"A= b OK ~",
		"A: c SETMETADATA SavedDrafts (/private/specialuse \"\\\\Drafts \\\\sent\")",
		"A= c OK ~",
		"A: d SETMETADATA Trash (/private/specialuse NIL)",
		"A= d OK ~",
		"A: e LIST (SPECIAL-USE) \"\" *",
		"A= * LIST (\\HasNoChildren \\Archive) \"/\" Archive",
		"A= * LIST (\\HasNoChildren \\Junk) \"/\" Junk",
		"A= * LIST (\\HasNoChildren \\Drafts \\Sent) \"/\" SavedDrafts",
		"A= e OK ~",
		"A: f GETMETADATA SavedDrafts (/private/specialuse)",
		"A= * METADATA SavedDrafts (/private/specialuse \"\\\\Drafts \\\\Sent\")",
		"A= f OK ~",
		NULL,
	};
	both(rows);
}

static void listed(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"A: a SETMETADATA Archive (/shared/color \"#b71c1c\")",
		"A= a OK ~",
		"A: b LIST \"\" (INBOX Archive) RETURN (METADATA (/shared/color) STATUS "
		"(MESSAGES))",
		"A= * LIST (\\HasNoChildren) \"/\" INBOX",
		"A= * STATUS INBOX (MESSAGES 0)",
		"A= * METADATA INBOX (/shared/color NIL)",
		"A= * LIST (\\HasNoChildren \\Archive) \"/\" Archive",
		"A= * STATUS Archive (MESSAGES 0)",
		"A= * METADATA Archive (/shared/color \"#b71c1c\")",
		"A= b OK ~",
		NULL,
	};
	both(rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_kept), cmocka_unit_test(depth_and_size),
		cmocka_unit_test(refused),	   cmocka_unit_test(uses_move),
		cmocka_unit_test(listed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

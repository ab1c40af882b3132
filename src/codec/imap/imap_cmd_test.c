/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "codec/imap/imap_write.h"

/* A command without its tag, and what it is in canonical form; or the reason that it is refused. */
struct row {
	const char *in;
	const char *want;
};

static int parse(struct str text, struct arena *arena, struct imap_cmd *cmd, struct fail *why)
{
	struct imap_input in = {.text = text};
	return imap_cmd_parse(&in, NULL, arena, cmd, why);
}

static void check_row(struct str in, const char *want)
{
	AUTO(arena) struct arena arena = ARENA_INIT(MIB(1));
	AUTO(buf) struct buf text = BUF_INIT(KIB(64));
	AUTO(buf) struct buf out = BUF_INIT(KIB(64));
	struct imap_cmd cmd;
	struct fail why = FAIL_INIT;
	buf_add_c(&text, "a1 ");
	buf_add(&text, in);
	int r = parse(buf_str(&text), &arena, &cmd, &why);
	assert_str(cmd.tag, "a1");
	if (r < 0) {
		assert_string_equal(why.public, want);
		return;
	}
	assert_int_equal(imap_write_cmd(&out, &cmd), 0);
	assert_string_equal(buf_c(&out), want);

	/* The canonical form is a fixed point. */
	buf_cut(&text, 3);
	buf_add(&text, buf_str(&out));
	buf_reset(&out);
	assert_ok(parse(buf_str(&text), &arena, &cmd, &why), &why);
	assert_int_equal(imap_write_cmd(&out, &cmd), 0);
	assert_string_equal(buf_c(&out), want);
}

static void check_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		check_row(str_c(rows[i].in), rows[i].want);
}

static void simple_commands(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{"CAPABILITY", "CAPABILITY"},
		{"noop", "NOOP"},
		{"NOOP  ", "NOOP"},
		{"NOOP x", "expected the end of the command at column 9"},
		{"LOGOUT", "LOGOUT"},
		{"STARTTLS", "STARTTLS"},
		{"CHECK", "CHECK"},
		{"CLOSE", "CLOSE"},
		{"UNSELECT", "UNSELECT"},
		{"EXPUNGE", "EXPUNGE"},
		{"IDLE", "IDLE"},
		{"NAMESPACE", "NAMESPACE"},
		{"UID EXPUNGE 3000:3002", "UID EXPUNGE 3000:3002"},
		{"UID EXPUNGE", "expected a space at column 15"},
		{"UID", "expected a space at column 7"},
		{"UID NOOP", "unknown command"},
		{"XYZZY 1", "unknown command"},
		{"", "expected the name of a command at column 4"},
		{" NOOP  ", "NOOP"},
		{"ENABLE  X   Y  ", "ENABLE X Y"},
		{"ID (\"a\" \"b\" \"c\")", "ID (\"a\" \"b\" \"c\" NIL)"},
		{"XLIST \"\" *", "XLIST \"\" \"*\""},
		{"LOGIN SMITH SESAME", "LOGIN SMITH SESAME"},
		{"LOGIN \"a\\\"b\\\\c\" nil", "LOGIN \"a\\\"b\\\\c\" \"nil\""},
		{"LOGIN {11}\r\nFRED FOOBAR {7}\r\nfat man", "LOGIN \"FRED FOOBAR\" \"fat man\""},
		{"LOGIN {3+}\r\nabc \"\"", "LOGIN abc \"\""},
		{"LOGIN a\xc3\xa9 b]", "LOGIN {3}\r\na\xc3\xa9 \"b]\""},
		{"LOGIN \"a\\d\" x", "expected a closing quote at column 13"},
		{"LOGIN \"abc", "expected a closing quote at column 14"},
		{"LOGIN a", "expected a space at column 11"},
		{"LOGIN a ", "expected a password at column 12"},
		{"LOGIN {4}\r\nabc", "expected a whole literal at column 15"},
		{"LOGIN ~{1}\r\na b", "expected a space at column 11"},
		{"LOGIN () b", "expected a user name at column 10"},
		{"AUTHENTICATE KERBEROS_V4", "AUTHENTICATE KERBEROS_V4"},
		{"AUTHENTICATE PLAIN dGVzdAB0ZXN0AHRlc3Q=",
		 "AUTHENTICATE PLAIN dGVzdAB0ZXN0AHRlc3Q="},
		{"AUTHENTICATE EXTERNAL =", "AUTHENTICATE EXTERNAL ="},
		{"ID NIL", "ID NIL"},
		{"ID (\"name\" \"sodr\" \"version\" \"19.34\" \"vendor\" NIL)",
		 "ID (\"name\" \"sodr\" \"version\" \"19.34\" \"vendor\" NIL)"},
		{"ID ()", "ID NIL"},
		{"ID (\"name\")", "ID (\"name\" NIL)"},
		{"ENABLE CONDSTORE X-GOOD-IDEA", "ENABLE CONDSTORE X-GOOD-IDEA"},
		{"ENABLE", "expected a space at column 10"},
		{"GETQUOTA \"\"", "GETQUOTA \"\""},
		{"compress deflate", "COMPRESS deflate"},
		{"COMPRESS", "expected a space at column 12"},
		{"unauthenticate", "UNAUTHENTICATE"},
		{"notify none", "NOTIFY NONE"},
		{"NOTIFY SET (selected none)", "NOTIFY SET (SELECTED NONE)"},
		{"NOTIFY SET STATUS (subtree a (mailboxname)) (mailboxes (b \"c d\") "
		 "(SubscriptionChange"
		 " Foo))",
		 "NOTIFY SET STATUS (SUBTREE (a) (MailboxName)) (MAILBOXES (b \"c d\") "
		 "(SubscriptionChange Other))"},
		{"NOTIFY SET (selected (messagenew (uid flags) messageexpunge))",
		 "NOTIFY SET (SELECTED (MessageNew (UID FLAGS) MessageExpunge))"},
		{"NOTIFY SET (selected (messagenew))",
		 "expected MessageNew and MessageExpunge together at column 37"},
		{"NOTIFY SET", "expected a space at column 14"},
		{"NOTIFY SET (all none)", "expected which mailboxes at column 16"},
		{"GETQUOTA \"!partition/sda4\"", "GETQUOTA !partition/sda4"},
		{"GETQUOTAROOT inbox", "GETQUOTAROOT INBOX"},
		{"SETQUOTA \"\" (STORAGE 512 message 10)",
		 "SETQUOTA \"\" (STORAGE 512 message 10)"},
		{"SETQUOTA x ()", "SETQUOTA x ()"},
		{"GETACL inbox", "GETACL INBOX"},
		{"MYRIGHTS Shared/b@example.test/x", "MYRIGHTS Shared/b@example.test/x"},
		{"SETACL INBOX bob@example.test lrs", "SETACL INBOX bob@example.test lrs"},
		{"SETACL INBOX \"-a b\" \"\"", "SETACL INBOX \"-a b\" \"\""},
		{"SETACL INBOX anyone +cd", "SETACL INBOX anyone +kxte"},
		{"SETACL INBOX anyone -e", "SETACL INBOX anyone -e"},
		{"SETACL INBOX anyone +", "SETACL INBOX anyone +"},
		{"SETACL INBOX anyone lrQ", "expected rights out of lrswipkxtecda at column 24"},
		{"SETACL INBOX \"\" lr", "expected an identifier at column 17"},
		{"SETACL INBOX - lr", "expected an identifier at column 17"},
		{"DELETEACL INBOX -bob", "DELETEACL INBOX -bob"},
		{"LISTRIGHTS INBOX bob", "LISTRIGHTS INBOX bob"},
		{"LISTRIGHTS INBOX", "expected a space at column 20"},
		{"SETQUOTA x", "expected a space at column 14"},
		{"SETQUOTA x (STORAGE)", "expected a space at column 23"},
		{"SETQUOTA x (STORAGE -1)", "expected a limit at column 24"},
	};
	check_rows(rows, ARRAY_LEN(rows));
}

static void mailbox_commands(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{"SELECT INBOX", "SELECT INBOX"},
		{"SELECT iNbOx", "SELECT INBOX"},
		{"SELECT \"inbox/x y\"", "SELECT \"INBOX/x y\""},
		{"SELECT inboxes", "SELECT inboxes"},
		{"SELECT INBOX (CONDSTORE)", "SELECT INBOX (CONDSTORE)"},
		{"SELECT a (QRESYNC (67890007 20050715194045000 41,43:211,214:541))",
		 "SELECT a (QRESYNC (67890007 20050715194045000 41,43:211,214:541))"},
		{"EXAMINE a (qresync (1 2))", "EXAMINE a (QRESYNC (1 2))"},
		{"SELECT a (QRESYNC (1 2 1:9 (5,7 15,22)))",
		 "SELECT a (QRESYNC (1 2 1:9 (5,7 15,22)))"},
		{"SELECT a (QRESYNC (1 2 (5 15)) CONDSTORE)",
		 "SELECT a (CONDSTORE QRESYNC (1 2 (5 15)))"},
		{"SELECT a (QRESYNC (1 2 1:*))",
		 "expected a set of numbers without a star at column 27"},
		{"SELECT a (QRESYNC (1 2 (5 *)))",
		 "expected a set of numbers without a star at column 30"},
		{"SELECT a (QRESYNC (1 2 $))",
		 "expected a set of numbers without a star at column 27"},
		{"SELECT a (QRESYNC (1 2 (5)))", "expected a space at column 29"},
		{"SELECT a (QRESYNC (1))", "expected a space at column 24"},
		{"SELECT a (QRESYNC (x 1))", "expected a UIDVALIDITY at column 23"},
		{"SELECT a (QRESYNC (1 2)", "expected a space or \")\" at column 27"},
		{"SELECT a (QRESYNC)", "expected a space at column 21"},
		{"EXAMINE \"~peter/mail/&U,BTFw-/&ZeVnLIqe-\"",
		 "EXAMINE ~peter/mail/&U,BTFw-/&ZeVnLIqe-"},
		{"SELECT {4}\r\nA&-B", "SELECT A&-B"},
		{"SELECT a]b", "SELECT \"a]b\""},
		{"SELECT \"\"", "SELECT \"\""},
		{"SELECT R&D", "expected a mailbox name in modified UTF-7 at column 11"},
		{"SELECT", "expected a space at column 10"},
		{"SELECT ", "expected a mailbox name at column 11"},
		{"SELECT a b", "expected the end of the command at column 13"},
		{"SELECT a (CONDSTOR)", "expected CONDSTORE or QRESYNC at column 14"},
		{"CREATE owatagusiam/", "CREATE owatagusiam/"},
		{"CREATE MySpecial (USE (\\Sent \\drafts))",
		 "CREATE MySpecial (USE (\\Drafts \\Sent))"},
		{"CREATE x (USE (\\Foo))", "CREATE x (USE (\\Unknown))"},
		{"CREATE x (USE (Sent))", "expected a special use such as \\Sent at column 19"},
		{"DELETE blurdybloop", "DELETE blurdybloop"},
		{"RENAME INBOX old-mail", "RENAME INBOX old-mail"},
		{"RENAME a", "expected a space at column 12"},
		{"SUBSCRIBE #news.comp.mail.mime", "SUBSCRIBE #news.comp.mail.mime"},
		{"UNSUBSCRIBE x", "UNSUBSCRIBE x"},
		{"STATUS blurdybloop (UIDNEXT MESSAGES)", "STATUS blurdybloop (MESSAGES UIDNEXT)"},
		{"STATUS x ( unseen recent UIDVALIDITY HIGHESTMODSEQ )",
		 "STATUS x (RECENT UIDVALIDITY UNSEEN HIGHESTMODSEQ)"},
		{"STATUS x (DELETED size)", "STATUS x (DELETED SIZE)"},
		{"STATUS x ()", "expected a STATUS item at column 14"},
		{"STATUS x (FOO)", "expected a STATUS item at column 14"},
		{"STATUS x MESSAGES", "STATUS x (MESSAGES)"},
	};
	check_rows(rows, ARRAY_LEN(rows));
}

static void list_commands(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{"LIST \"\" \"\"", "LIST \"\" \"\""},
		{"LIST \"\" *", "LIST \"\" \"*\""},
		{"LIST #news.comp.mail.misc \"\"", "LIST #news.comp.mail.misc \"\""},
		{"LIST ~/Mail/ %", "LIST ~/Mail/ \"%\""},
		{"LIST /usr/staff/jones \"foo/&AOk-%\"", "LIST /usr/staff/jones \"foo/&AOk-%\""},
		{"LSUB \"#news.\" \"comp.mail.*\"", "LSUB #news. \"comp.mail.*\""},
		{"LIST (SUBSCRIBED) \"\" \"*\"", "LIST (SUBSCRIBED) \"\" (\"*\") RETURN ()"},
		{"LIST () \"\" \"%\" RETURN (CHILDREN)", "LIST \"\" (\"%\") RETURN (CHILDREN)"},
		{"LIST (REMOTE) \"\" \"%\" RETURN (CHILDREN SUBSCRIBED)",
		 "LIST (REMOTE) \"\" (\"%\") RETURN (SUBSCRIBED CHILDREN)"},
		{"LIST \"\" (\"INBOX\" \"Drafts\" \"Sent/%\")",
		 "LIST \"\" (INBOX Drafts \"Sent/%\") RETURN ()"},
		{"LIST (SUBSCRIBED RECURSIVEMATCH) \"\" \"*\"",
		 "LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (\"*\") RETURN ()"},
		{"LIST (RECURSIVEMATCH) \"\" *",
		 "expected an option besides RECURSIVEMATCH at column 25"},
		{"LIST (SPECIAL-USE) \"\" \"*\" return (special-use)",
		 "LIST (SPECIAL-USE) \"\" (\"*\") RETURN (SPECIAL-USE)"},
		{"LIST \"\" \"%\" RETURN (CHILDREN STATUS (MESSAGES UNSEEN))",
		 "LIST \"\" (\"%\") RETURN (CHILDREN STATUS (MESSAGES UNSEEN))"},
		{"LIST \"\" R&D%", "LIST \"\" &"},
		{"LIST \"\" (a* \"\xc3\xbc\" \"\")", "LIST \"\" (\"a*\" &APw- \"\") RETURN ()"},
		{"LSUB \"\" R&D", "LSUB \"\" &"},
		{"LIST \"R&D\" *", "expected a mailbox name in modified UTF-7 at column 9"},
		{"LIST (FOO) \"\" *", "expected a LIST selection option at column 10"},
		{"LIST \"\" * RETURN (FOO)", "expected a LIST return option at column 22"},
		{"LIST \"\"", "expected a space at column 11"},
	};
	check_rows(rows, ARRAY_LEN(rows));
}

static void append_commands(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{"APPEND saved-messages (\\Seen) {3}\r\na\r\n",
		 "APPEND saved-messages (\\Seen) {3}\r\na\r\n"},
		{"APPEND x {0}\r\n", "APPEND x () {0}\r\n"},
		{"APPEND x {2+}\r\nab ", "APPEND x () {2}\r\nab"},
		{"APPEND x ~{2}\r\nab", "APPEND x () ~{2}\r\nab"},
		{"APPEND x (\\seen $Forwarded $forwarded \\Draft) \"17-Jul-1996 02:44:25 -0700\" "
		 "{1}\r\nx",
		 "APPEND x (\\Seen \\Draft $Forwarded) \"17-Jul-1996 02:44:25 -0700\" {1}\r\nx"},
		{"APPEND x \" 1-Jan-2024 00:00:00 +0130\" {1}\r\nx",
		 "APPEND x () \" 1-Jan-2024 00:00:00 +0130\" {1}\r\nx"},
		{"APPEND x \"1-jan-2024 00:00:00 +0130\" {1}\r\nx",
		 "APPEND x () \" 1-Jan-2024 00:00:00 +0130\" {1}\r\nx"},
		{"APPEND x {1}\r\na (\\Seen) {1}\r\nb {1}\r\nc",
		 "APPEND x () {1}\r\na (\\Seen) {1}\r\nb () {1}\r\nc"},
		{"APPEND x \"31-Feb-2024 00:00:00 +0000\" {1}\r\nx",
		 "expected a date like \"17-Jul-1996 02:44:25 -0700\" at column 13"},
		{"APPEND x (\\Recent) {1}\r\nx", "APPEND x () {1}\r\nx"},
		{"APPEND x \\Seen  \\Draft {1}\r\nx", "APPEND x (\\Seen \\Draft) {1}\r\nx"},
		{"APPEND x (a){1}\r\nx", "APPEND x (a) {1}\r\nx"},
		{"APPEND x \"\" {1}\r\nx", "APPEND x () {1}\r\nx"},
		{"APPEND x (\\Seen) abc", "expected a literal at column 21"},
		{"APPEND x (\\Seen)", "expected a space at column 20"},
		{"APPEND x (\\Seen) catenate (url \"/INBOX/;UID=1\" TEXT {2}\r\nab URL ;UID=2)",
		 "APPEND x (\\Seen) CATENATE (URL /INBOX/;UID=1 TEXT {2}\r\nab URL ;UID=2)"},
		{"APPEND x CATENATE (UTF8 (~{1}\r\na)) UTF8 (~{1}\r\nb)",
		 "APPEND x () CATENATE (UTF8 (~{1}\r\na)) () UTF8 (~{1}\r\nb)"},
		{"APPEND x CATENATE (TEXT a)", "expected a literal at column 28"},
		{"APPEND x CATENATE ()", "expected TEXT, UTF8 or URL at column 23"},
		{"APPEND x CATENATE (URL a", "expected a space or \")\" at column 28"},
		{"APPEND x UTF8 ({1}\r\nb)", "expected a literal8 at column 19"},
		{"REPLACE 4 Drafts (\\Draft) {1}\r\na", "REPLACE 4 Drafts (\\Draft) {1}\r\na"},
		{"UID REPLACE * inbox CATENATE (URL ;UID=9)",
		 "UID REPLACE * INBOX () CATENATE (URL ;UID=9)"},
		{"REPLACE 1:2 Drafts {1}\r\na", "expected one message at column 12"},
		{"REPLACE 1,2 Drafts {1}\r\na", "expected one message at column 12"},
		{"REPLACE $ Drafts {1}\r\na", "expected one message at column 12"},
		{"REPLACE 1 Drafts {1}\r\na {1}\r\nb",
		 "expected the end of the command at column 28"},
	};
	check_rows(rows, ARRAY_LEN(rows));
}

static void metadata_commands(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{"GETMETADATA \"\" /shared/comment", "GETMETADATA \"\" (/shared/comment)"},
		{"GETMETADATA INBOX (/shared/Comment \"/PRIVATE/comment\")",
		 "GETMETADATA INBOX (/shared/comment /private/comment)"},
		{"GETMETADATA INBOX (MAXSIZE 1024) (/shared/comment)",
		 "GETMETADATA INBOX (MAXSIZE 1024) (/shared/comment)"},
		{"GETMETADATA (depth INFINITY MAXSIZE 1) INBOX /shared /private",
		 "GETMETADATA INBOX (MAXSIZE 1 DEPTH infinity) (/shared /private)"},
		{"GETMETADATA INBOX (DEPTH 1) /private/filters/values",
		 "GETMETADATA INBOX (DEPTH 1) (/private/filters/values)"},
		{"GETMETADATA INBOX (DEPTH 2) /private/x",
		 "expected 0, 1 or infinity at column 29"},
		{"GETMETADATA INBOX (FOO) /private/x", "expected MAXSIZE or DEPTH at column 23"},
		{"GETMETADATA INBOX /other/x",
		 "expected an entry of /private or /shared at column 22"},
		{"GETMETADATA INBOX (/private//x)",
		 "expected an entry of /private or /shared at column 23"},
		{"GETMETADATA INBOX /private/x/",
		 "expected an entry of /private or /shared at column 22"},
		{"GETMETADATA INBOX \"/private/x*\"",
		 "expected an entry of /private or /shared at column 22"},
		{"GETMETADATA INBOX \"/private/\xc3\xbc\"",
		 "expected an entry of /private or /shared at column 22"},
		{"GETMETADATA INBOX ()", "expected the name of an entry at column 23"},
		{"SETMETADATA INBOX (/private/comment NIL /shared/Comment \"a\")",
		 "SETMETADATA INBOX (/private/comment NIL /shared/comment {1}\r\na)"},
		{"SETMETADATA \"\" (/private/vendor/me/x {2}\r\nab /shared/y ~{1}\r\nc)",
		 "SETMETADATA \"\" (/private/vendor/me/x {2}\r\nab /shared/y ~{1}\r\nc)"},
		{"SETMETADATA INBOX (/private NIL)",
		 "expected the whole name of an entry at column 23"},
		{"SETMETADATA INBOX (/shared/vendor/me NIL)",
		 "expected the whole name of an entry at column 23"},
		{"SETMETADATA INBOX (/private/x)", "expected a space at column 33"},
		{"SETMETADATA INBOX (/private/x y)", "expected a value at column 34"},
		{"LIST \"\" % RETURN (METADATA (/shared/Color \"/private/x\") CHILDREN)",
		 "LIST \"\" (\"%\") RETURN (CHILDREN METADATA (/shared/color /private/x))"},
		{"LIST \"\" % RETURN (METADATA (/shared/c) STATUS (UIDNEXT))",
		 "LIST \"\" (\"%\") RETURN (STATUS (UIDNEXT) METADATA (/shared/c))"},
		{"LIST \"\" % RETURN (METADATA (/shared/c))",
		 "LIST \"\" (\"%\") RETURN (METADATA (/shared/c))"},
		{"LIST \"\" % RETURN (METADATA)", "expected a space at column 30"},
	};
	check_rows(rows, ARRAY_LEN(rows));
}

static void fetch_commands(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{"FETCH 1 (BINARY[1.2] BINARY.PEEK[]<5.10> BINARY.SIZE[3])",
		 "FETCH 1 (BINARY[1.2] BINARY.PEEK[]<5.10> BINARY.SIZE[3])"},
		{"FETCH 1 binary.peek[2]<0.1>", "FETCH 1 (BINARY.PEEK[2]<0.1>)"},
		{"FETCH 1 (PREVIEW (LAZY) SAVEDATE EMAILID THREADID PREVIEW)",
		 "FETCH 1 (PREVIEW (LAZY) SAVEDATE EMAILID THREADID PREVIEW)"},
		{"FETCH 1 PREVIEW (lazy)", "FETCH 1 (PREVIEW (LAZY))"},
		{"FETCH 1 PREVIEW (CHANGEDSINCE 1)", "FETCH 1 (PREVIEW) (CHANGEDSINCE 1)"},
		{"FETCH 1 PREVIEW (LAZY) (CHANGEDSINCE 1)",
		 "FETCH 1 (PREVIEW (LAZY)) (CHANGEDSINCE 1)"},
		{"FETCH 1 (PREVIEW (BUSY))", "expected a FETCH attribute at column 21"},
		{"FETCH 1 BINARY", "expected \"[\" at column 18"},
		{"FETCH 1 BINARY[TEXT]", "expected a part number or \"]\" at column 19"},
		{"FETCH 1 BINARY[1.MIME]", "expected a part number at column 21"},
		{"FETCH 1 BINARY[0]", "expected a part number from 1 on at column 19"},
		{"FETCH 1 BINARY.SIZE[1]<0.1>", "expected the end of the command at column 26"},
		{"FETCH 2:4 (FLAGS BODY[HEADER.FIELDS (DATE FROM)])",
		 "FETCH 2:4 (FLAGS BODY[HEADER.FIELDS (DATE FROM)])"},
		{"FETCH 1 FAST", "FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE)"},
		{"FETCH 1 all", "FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)"},
		{"FETCH 12 full", "FETCH 12 (FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY)"},
		{"FETCH 12 body[header]", "FETCH 12 (BODY[HEADER])"},
		{"FETCH 1 (UID BODYSTRUCTURE RFC822 RFC822.HEADER RFC822.TEXT RFC822.SIZE)",
		 "FETCH 1 (UID BODYSTRUCTURE RFC822 RFC822.HEADER RFC822.TEXT RFC822.SIZE)"},
		{"FETCH 1 (BODY BODY[] BODY.PEEK[] BODY[TEXT] BODY[1] BODY[1.2.3] BODY[4.2.MIME])",
		 "FETCH 1 (BODY BODY[] BODY.PEEK[] BODY[TEXT] BODY[1] BODY[1.2.3] BODY[4.2.MIME])"},
		{"FETCH 1 BODY.PEEK[3.HEADER.FIELDS.NOT (\"a b\" {3}\r\nx]y)]<0.2048>",
		 "FETCH 1 (BODY.PEEK[3.HEADER.FIELDS.NOT (\"a b\" \"x]y\")]<0.2048>)"},
		{"FETCH 1 BODY[]<4294967296.9223372036854775807>",
		 "FETCH 1 (BODY[]<4294967296.9223372036854775807>)"},
		{"FETCH 1 ( FLAGS UID )", "FETCH 1 (FLAGS UID)"},
		{"UID FETCH 300:500 (FLAGS) (CHANGEDSINCE 12345 VANISHED)",
		 "UID FETCH 300:500 (FLAGS) (CHANGEDSINCE 12345 VANISHED)"},
		{"FETCH 1:* (FLAGS MODSEQ) (CHANGEDSINCE 12345)",
		 "FETCH 1:* (FLAGS MODSEQ) (CHANGEDSINCE 12345)"},
		{"FETCH 1,2:*,*:4 FLAGS", "FETCH 1,2:*,*:4 (FLAGS)"},
		{"FETCH 0 FLAGS", "expected a set of numbers at column 10"},
		{"FETCH 1, FLAGS", "expected a set of numbers at column 10"},
		{"FETCH 4294967296 FLAGS", "expected a set of numbers at column 10"},
		{"FETCH 1 ()", "expected a FETCH attribute at column 13"},
		{"FETCH 1 FOO", "expected a FETCH attribute at column 12"},
		{"FETCH 1 (FAST  UID )", "FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE UID)"},
		{"FETCH 1 BODY[0]", "expected a part number from 1 on at column 17"},
		{"FETCH 1 BODY[1.]",
		 "expected HEADER, HEADER.FIELDS, TEXT or, in a part, MIME at column 19"},
		{"FETCH 1 BODY[MIME]",
		 "expected HEADER, HEADER.FIELDS, TEXT or, in a part, MIME at column 17"},
		{"FETCH 1 BODY[TEXT", "expected \"]\" at column 21"},
		{"FETCH 1 BODY[]<0.0>", "expected a count from 1 on at column 22"},
		{"FETCH 1 BODY[]<0>", "expected a dot and a count at column 20"},
		{"FETCH 1 BODY.PEEK", "expected \"[\" at column 21"},
		{"FETCH 1 FLAGS (FOO)", "expected CHANGEDSINCE at column 19"},
		{"FETCH 1 FLAGS (CHANGEDSINCE 9223372036854775808)",
		 "expected a mod-sequence at column 32"},
	};
	check_rows(rows, ARRAY_LEN(rows));
}

static void store_and_copy_commands(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{"STORE 2:4 +FLAGS (\\Deleted)", "STORE 2:4 +FLAGS (\\Deleted)"},
		{"STORE 2 -flags.silent \\Seen $MDNSent",
		 "STORE 2 -FLAGS.SILENT (\\Seen $MDNSent)"},
		{"STORE 2 FLAGS ()", "STORE 2 FLAGS ()"},
		{"UID STORE 6 (UNCHANGEDSINCE 12121230045) +FLAGS.SILENT (\\Deleted)",
		 "UID STORE 6 (UNCHANGEDSINCE 12121230045) +FLAGS.SILENT (\\Deleted)"},
		{"STORE 1 +FLAG (\\Seen)", "expected FLAGS, +FLAGS or -FLAGS at column 13"},
		{"STORE 1 FLAGS", "expected a space at column 17"},
		{"STORE 1 FLAGS (\\Foo)",
		 "expected a keyword or a system flag that can be set at column 19"},
		{"STORE 1 FLAGS (\\Seen", "expected a space or \")\" at column 24"},
		{"COPY 2:4 MEETING", "COPY 2:4 MEETING"},
		{"UID COPY 1:* \"a b\"", "UID COPY 1:* \"a b\""},
		{"UID MOVE 42:69 foo", "UID MOVE 42:69 foo"},
		{"MOVE $ foo", "MOVE $ foo"},
		{"UID STORE $ +FLAGS.SILENT (\\Deleted)", "UID STORE $ +FLAGS.SILENT (\\Deleted)"},
		{"FETCH $ FLAGS", "FETCH $ (FLAGS)"},
		{"UID EXPUNGE $", "UID EXPUNGE $"},
		{"FETCH $,1 FLAGS", "expected a space at column 11"},
		{"FETCH 1:$ FLAGS", "expected a set of numbers at column 10"},
	};
	check_rows(rows, ARRAY_LEN(rows));
}

static void search_extensions(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{"SEARCH RETURN (relevancy ALL) fuzzy (TEXT x NOT FUZZY BODY y)",
		 "SEARCH RETURN (ALL RELEVANCY) FUZZY (TEXT x NOT FUZZY BODY y)"},
		{"SORT (REVERSE RELEVANCY DATE) UTF-8 FUZZY FUZZY TEXT a",
		 "SORT (REVERSE RELEVANCY DATE) UTF-8 FUZZY FUZZY TEXT a"},
		{"SEARCH UIDAFTER 5 NOT UIDBEFORE 7", "SEARCH UID 6:4294967295 NOT UID 1:6"},
		{"SEARCH UIDBEFORE 1 UIDAFTER 4294967295", "SEARCH NOT ALL NOT ALL"},
		{"SEARCH UIDAFTER 0", "expected a UID at column 20"},
		{"SEARCH UIDAFTER 1:2", "expected the end of the command at column 21"},
		{"ESEARCH ALL", "ESEARCH RETURN (ALL) ALL"},
		{"ESEARCH IN (mailboxes (a \"b c\") selected subtree-one x) RETURN (COUNT) SEEN",
		 "ESEARCH IN (MAILBOXES (a \"b c\") SELECTED SUBTREE-ONE (x)) RETURN (COUNT) SEEN"},
		{"ESEARCH IN (selected-delayed) SEEN", "expected which mailboxes at column 16"},
		{"SEARCH FUZZY", "expected a space at column 16"},
	};
	check_rows(rows, ARRAY_LEN(rows));
}

static void search_commands(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{"SEARCH FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\"",
		 "SEARCH FLAGGED SINCE 1-Feb-1994 NOT HEADER From Smith"},
		{"SEARCH TEXT \"string not in mailbox\"", "SEARCH TEXT \"string not in mailbox\""},
		{"SEARCH CHARSET UTF-8 TEXT {6}\r\n\xd0\x98\xd0\x98\xd0\x98",
		 "SEARCH CHARSET UTF-8 TEXT {6}\r\n\xd0\x98\xd0\x98\xd0\x98"},
		{"SEARCH ALL", "SEARCH ALL"},
		{"SEARCH NEW OLD RECENT", "SEARCH (RECENT NOT SEEN) NOT RECENT RECENT"},
		{"SEARCH UNANSWERED UNDELETED UNDRAFT UNFLAGGED UNSEEN UNKEYWORD x",
		 "SEARCH NOT ANSWERED NOT DELETED NOT DRAFT NOT FLAGGED NOT SEEN NOT KEYWORD x"},
		{"SEARCH ANSWERED DELETED DRAFT KEYWORD nil",
		 "SEARCH ANSWERED DELETED DRAFT KEYWORD nil"},
		{"SEARCH BCC a CC b TO c SUBJECT d HEADER x-y \"\"",
		 "SEARCH HEADER Bcc a HEADER Cc b HEADER To c HEADER Subject d HEADER x-y \"\""},
		{"SEARCH BEFORE 01-Jan-2000 ON \"2-Jan-2000\" SENTBEFORE 3-jan-2000 SENTON "
		 "4-Jan-2000 "
		 "SENTSINCE 5-Jan-1969",
		 "SEARCH BEFORE 1-Jan-2000 ON 2-Jan-2000 SENTBEFORE 3-Jan-2000 SENTON 4-Jan-2000 "
		 "SENTSINCE 5-Jan-1969"},
		{"SEARCH LARGER 4096 SMALLER 5000000000 UID 1:*,3 2,4:7",
		 "SEARCH LARGER 4096 SMALLER 5000000000 UID 1:*,3 2,4:7"},
		{"SEARCH OR (1 2) NOT (OR SEEN (((DELETED))))",
		 "SEARCH OR (1 2) NOT OR SEEN DELETED"},
		{"SEARCH OR NOT 1 OR 2 3", "SEARCH OR NOT 1 OR 2 3"},
		{"SEARCH MODSEQ \"/flags/\\\\draft\" all 620162338", "SEARCH MODSEQ 620162338"},
		{"SEARCH OR NOT MODSEQ 720162338 LARGER 50000",
		 "SEARCH OR NOT MODSEQ 720162338 LARGER 50000"},
		{"UID SEARCH *", "UID SEARCH *"},
		{"SEARCH", "expected a space at column 10"},
		{"SEARCH ()", "expected a search key at column 12"},
		{"SEARCH FOO", "expected a search key at column 11"},
		{"SEARCH OR SEEN", "expected a space at column 18"},
		{"SEARCH SINCE 1994-02-01", "expected a date like 1-Feb-1994 at column 17"},
		{"SEARCH SINCE 30-Feb-1994", "expected a date like 1-Feb-1994 at column 17"},
		{"SEARCH KEYWORD \\Seen", "expected a keyword at column 19"},
		{"SEARCH RETURN (PARTIAL -1:-100 COUNT) SEEN",
		 "SEARCH RETURN (COUNT PARTIAL -1:-100) SEEN"},
		{"UID SEARCH RETURN (partial 500:1) SEEN",
		 "UID SEARCH RETURN (PARTIAL 500:1) SEEN"},
		{"SORT RETURN (UPDATE CONTEXT PARTIAL 1:2) (DATE) UTF-8 ALL",
		 "SORT RETURN (CONTEXT UPDATE PARTIAL 1:2) (DATE) UTF-8 ALL"},
		{"SEARCH RETURN (PARTIAL 1:2 ALL) SEEN", "expected PARTIAL or ALL at column 17"},
		{"SEARCH RETURN (PARTIAL 1:2 PARTIAL 1:2) SEEN",
		 "expected a result option of SEARCH at column 31"},
		{"SEARCH RETURN (PARTIAL 1:-2) SEEN", "expected a number at column 29"},
		{"SEARCH RETURN (PARTIAL 0:2) SEEN", "expected a number from 1 on at column 27"},
		{"SEARCH RETURN (PARTIAL 1:*) SEEN", "expected a number at column 29"},
		{"UIDBATCHES 2000 10:1", "UIDBATCHES 2000 10:1"},
		{"SEARCH NOT FILTER hot", "SEARCH NOT FILTER hot"},
		{"COMPARATOR", "COMPARATOR"},
		{"COMPARATOR \"cz;*\" i;basic", "COMPARATOR \"cz;*\" i;basic"},
		{"CANCELUPDATE \"a1\" \"b\"", "CANCELUPDATE \"a1\" \"b\""},
		{"CANCELUPDATE a1", "expected a tag in quotes at column 17"},
		{"SORT (subject reverse date) utf-8 all", "SORT (SUBJECT REVERSE DATE) utf-8 ALL"},
		{"UID SORT RETURN () (ARRIVAL CC FROM TO SIZE DISPLAYFROM REVERSE DISPLAYTO) "
		 "US-ASCII 1:* SEEN",
		 "UID SORT RETURN (ALL) (ARRIVAL CC FROM TO SIZE DISPLAYFROM REVERSE DISPLAYTO) "
		 "US-ASCII 1:* SEEN"},
		{"SORT () UTF-8 ALL", "expected a sort criterion at column 10"},
		{"SORT (REVERSE) UTF-8 ALL", "expected a space at column 17"},
		{"SORT (REVERSE REVERSE DATE) UTF-8 ALL", "expected a sort criterion at column 18"},
		{"SORT (DATE) UTF-8", "expected a space at column 21"},
		{"SORT (DATE) (SEEN)", "expected a charset at column 16"},
		{"SORT (DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE "
		 "DATE DATE) UTF-8 ALL",
		 "too many sort criteria"},
		{"THREAD references UTF-8 NOT SEEN", "THREAD REFERENCES UTF-8 NOT SEEN"},
		{"UID THREAD REFS UTF-8 ALL", "UID THREAD REFS UTF-8 ALL"},
		{"THREAD ORDEREDSUBJECT UTF-8 UID 1:5", "THREAD ORDEREDSUBJECT UTF-8 UID 1:5"},
		{"THREAD JWZ UTF-8 ALL", "expected a threading algorithm at column 11"},
		{"SEARCH RETURN (ALL) 1", "SEARCH RETURN (ALL) 1"},
		{"SEARCH RETURN () 1", "SEARCH RETURN (ALL) 1"},
		{"SEARCH return (save Count max MIN min) CHARSET UTF-8 1",
		 "SEARCH RETURN (MIN MAX COUNT SAVE) CHARSET UTF-8 1"},
		{"SEARCH RETURN (FOO) 1", "expected a result option of SEARCH at column 19"},
		{"SEARCH RETURN ALL", "expected a list of result options at column 18"},
		{"SEARCH RETURN (ALL)", "expected a space at column 23"},
		{"SEARCH RETURN", "expected a space at column 17"},
		{"SEARCH CHARSET UTF-8 RETURN (ALL) 1", "expected a search key at column 25"},
		{"UID SEARCH UID $ SMALLER 4096", "UID SEARCH UID $ SMALLER 4096"},
		{"SEARCH (OR $ 1,3000:3021) TEXT x", "SEARCH OR $ 1,3000:3021 TEXT x"},
		{"SEARCH $ NOT $", "SEARCH $ NOT $"},
		{"SEARCH $Junk", "expected the end of the command at column 12"},
		{"SEARCH SAVEDON 1-Feb-1994 SAVEDBEFORE 2-Feb-1994 SAVEDSINCE 3-Feb-1994",
		 "SEARCH SAVEDON 1-Feb-1994 SAVEDBEFORE 2-Feb-1994 SAVEDSINCE 3-Feb-1994"},
		{"SEARCH SAVEDATESUPPORTED", "SEARCH ALL"},
		{"SEARCH EMAILID M1a OR THREADID T_- ALL",
		 "SEARCH EMAILID M1a OR THREADID T_- ALL"},
		{"SEARCH EMAILID", "expected a space at column 18"},
		{"SEARCH OLDER 1 YOUNGER 4294967295", "SEARCH OLDER 1 YOUNGER 4294967295"},
		{"SEARCH OLDER 0", "expected a number of seconds from 1 on at column 17"},
		{"SEARCH YOUNGER 4294967296", "expected a number of seconds at column 19"},
	};
	check_rows(rows, ARRAY_LEN(rows));
}

/* After ENABLE names are what they look like, and 8-bit text must be UTF-8. */
static void utf8_names(void **state)
{
	(void)state;
	static const struct {
		const char *in;
		const char *want; /* the name, or the reason why not */
		int result;
	} rows[] = {
		{"a SELECT \"Entw\xc3\xbcrfe/&AOk-\"", "Entw\xc3\xbcrfe/&AOk-", 0},
		{"a SELECT R&D", "R&D", 0},
		{"a SELECT {3}\r\n\xe2\x82\xac", "\xe2\x82\xac", 0},
		{"a SELECT \xe2\x82\xac", "\xe2\x82\xac", 0},
		{"a SELECT \"inbox/\xc3\xa9\"", "INBOX/\xc3\xa9", 0},
		{"a SELECT \"\xc3\"", "expected UTF-8 at column 10", -FAIL_SYNTAX},
		{"a SELECT \"\xed\xa0\x80\"", "expected UTF-8 at column 10", -FAIL_SYNTAX},
		{"a SELECT {1}\r\n\xff", "expected a mailbox name in UTF-8 at column 10",
		 -FAIL_SYNTAX},
		{"a SELECT \"x\xc2\x85\"", "expected a mailbox name in UTF-8 at column 10",
		 -FAIL_SYNTAX},
		{"a SELECT \"\xe2\x80\xa8\"", "expected a mailbox name in UTF-8 at column 10",
		 -FAIL_SYNTAX},
		{"a SELECT \"a\tb\"", "expected a mailbox name in UTF-8 at column 10",
		 -FAIL_SYNTAX},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(arena) struct arena arena = ARENA_INIT(KIB(64));
		struct imap_input in = {.text = str_c(rows[i].in), .syntax = IMAP_SYNTAX_UTF8};
		struct fail why = FAIL_INIT;
		struct imap_cmd cmd;
		assert_int_equal(imap_cmd_parse(&in, NULL, &arena, &cmd, &why), rows[i].result);
		if (rows[i].result < 0)
			assert_string_equal(why.public, rows[i].want);
		else
			assert_str(cmd.select.mailbox, rows[i].want);
		in.syntax =
			0; /* without it, a lone "&" is no name; 8-bit text is what it looks like */
		bool raw = false;
		for (const char *c = rows[i].in; *c; c++)
			raw |= (*c & 0x80) != 0;
		if (rows[i].result == 0)
			assert_int_equal(imap_cmd_parse(&in, NULL, &arena, &cmd, NULL),
					 raw ? 0 : -FAIL_SYNTAX);
	}
}

static void search_tree_is_bounded(void **state)
{
	(void)state;
	AUTO(buf) struct buf b = BUF_INIT(KIB(64));
	for (int i = 0; i < 100; i++)
		buf_add_c(&b, i ? " NOT" : "SEARCH");
	buf_add_c(&b, " SEEN");
	check_row(buf_str(&b), "too many nested search keys");
	buf_reset(&b);
	buf_add_c(&b, "SEARCH");
	for (int i = 0; i < 5000; i++)
		buf_add_c(&b, " SEEN");
	check_row(buf_str(&b), "too many search keys");
	buf_reset(&b);
	buf_add_c(&b, "FETCH 1 (");
	for (int i = 0; i < 300; i++)
		buf_add_c(&b, "FLAGS ");
	check_row(buf_str(&b), "too many FETCH attributes");
}

/* What imap_cmd.h promises about the arena, with the dearest commands of 64 KiB. */
static void a_mebibyte_is_enough(void **state)
{
	(void)state;
	static const struct row dear[] = {
		{"a SEARCH", " 1,2,3,4,5,6,7"},
		{"a FETCH 1 (BODY[HEADER.FIELDS (a", " \"\\\"\""},
		{"a SEARCH", " HEADER \"\\\"\" \"\\\"\""},
		{"a STORE 1", ",1"},
	};
	for (size_t i = 0; i < ARRAY_LEN(dear); i++) {
		AUTO(arena) struct arena arena = ARENA_INIT(MIB(1));
		AUTO(buf) struct buf b = BUF_INIT(KIB(64));
		struct imap_cmd cmd;
		buf_add_c(&b, dear[i].in);
		size_t count = i == 0 ? 4000 : i == 1 ? 500 : i == 2 ? 3800 : 16000;
		for (size_t k = 0; k < count; k++)
			buf_add_c(&b, dear[i].want);
		buf_add_c(&b, i == 1 ? ")])" : i == 3 ? " FLAGS ()" : "");
		assert_false(b.failed);
		assert_int_equal(parse(buf_str(&b), &arena, &cmd, NULL), 0);
	}
}

static void tags(void **state)
{
	(void)state;
	static const struct {
		const char *in;
		int want;
		const char *tag;
	} rows[] = {
		{"A0001 NOOP", 0, "A0001"},	  {".!]x NOOP", 0, ".!]x"},
		{"A0001", -FAIL_SYNTAX, "A0001"}, {"", -FAIL_SYNTAX, ""},
		{"+ NOOP", -FAIL_SYNTAX, ""},	  {"a+ NOOP", -FAIL_SYNTAX, ""},
		{"(a NOOP", -FAIL_SYNTAX, ""},	  {"a( NOOP", -FAIL_SYNTAX, ""},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(arena) struct arena arena = ARENA_INIT(KIB(4));
		struct imap_cmd cmd;
		assert_int_equal(parse(str_c(rows[i].in), &arena, &cmd, NULL), rows[i].want);
		assert_str(cmd.tag, rows[i].tag);
	}
	assert_int_equal(imap_cmd_peek(STR("a APPEND x {30}\r\n")), IMAP_CMD_APPEND);
	assert_int_equal(imap_cmd_peek(STR("a uid store 1")), IMAP_CMD_STORE);
	assert_int_equal(imap_cmd_peek(STR("a LOGIN {5}\r\n")), IMAP_CMD_LOGIN);
	assert_int_equal(imap_cmd_peek(STR("a FOO")), IMAP_CMD_KIND_COUNT);
}

static void external_literals(void **state)
{
	(void)state;
	AUTO(arena) struct arena arena = ARENA_INIT(KIB(64));
	struct imap_cmd cmd;
	struct fail why = FAIL_INIT;
	struct str text = STR("a APPEND x {70000}\r\n (\\Seen) ~{80000}\r\n");
	struct imap_external ext[] = {{20, 70000, false}, {text.n, 80000, true}};
	struct imap_input in = {text, ext, 2};
	assert_ok(imap_cmd_parse(&in, NULL, &arena, &cmd, &why), &why);
	assert_int_equal(cmd.append.message_count, 2);
	assert_int_equal(cmd.append.message[0].body.external, 0);
	assert_int_equal(cmd.append.message[0].body.size, 70000);
	assert_int_equal(cmd.append.message[1].body.external, 1);
	assert_true(cmd.append.message[1].body.binary);
	assert_int_equal(cmd.append.message[1].flags.bits, IMAP_FLAG_SEEN);

	text = STR("a LOGIN x {70000}\r\n");
	ext[0].pos = text.n;
	in = (struct imap_input){text, ext, 1};
	assert_int_equal(imap_cmd_parse(&in, NULL, &arena, &cmd, &why), -FAIL_LIMIT);
	assert_string_equal(why.public, "string too long");
	text = STR("a APPEND x {3}\r\nabc"); /* one that nobody asked for */
	in = (struct imap_input){text, ext, 1};
	assert_int_equal(imap_cmd_parse(&in, NULL, &arena, &cmd, &why), -FAIL_SYNTAX);
}

/* Cutting a command anywhere must be refused or parsed, never read past. */
static void truncation_is_harmless(void **state)
{
	(void)state;
	static const char *const whole[] = {
		"a FETCH 1:*,3 (UID BODY.PEEK[1.2.HEADER.FIELDS (DATE \"x\\\"y\")]<0.10>) "
		"(CHANGEDSINCE 1)",
		"a SEARCH CHARSET UTF-8 OR (1 NOT SEEN) HEADER {3}\r\nabc \"d\" SINCE "
		"\"1-Feb-1994\"",
		"a APPEND x (\\Seen k) \"17-Jul-1996 02:44:25 -0700\" ~{3+}\r\nabc",
		"a LIST (SUBSCRIBED) \"\" (\"a*\" b%) RETURN (STATUS (MESSAGES))",
		"a UID SEARCH RETURN (SAVE MIN) CHARSET UTF-8 UID $ OLDER 86400",
	};
	for (size_t i = 0; i < ARRAY_LEN(whole); i++) {
		size_t n = strlen(whole[i]);
		for (size_t cut = 0; cut <= n; cut++) {
			AUTO(arena) struct arena arena = ARENA_INIT(KIB(64));
			char *copy = malloc(cut + 1); /* so that a sanitizer sees the end */
			memcpy(copy, whole[i], cut);
			struct imap_cmd cmd;
			int r = parse(str_make(copy, cut), &arena, &cmd, NULL);
			assert_true(cut < n ? r <= 0 : r == 0);
			free(copy);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(simple_commands),
		cmocka_unit_test(mailbox_commands),
		cmocka_unit_test(list_commands),
		cmocka_unit_test(append_commands),
		cmocka_unit_test(metadata_commands),
		cmocka_unit_test(fetch_commands),
		cmocka_unit_test(store_and_copy_commands),
		cmocka_unit_test(search_commands),
		cmocka_unit_test(search_extensions),
		cmocka_unit_test(search_tree_is_bounded),
		cmocka_unit_test(utf8_names),
		cmocka_unit_test(a_mebibyte_is_enough),
		cmocka_unit_test(tags),
		cmocka_unit_test(external_literals),
		cmocka_unit_test(truncation_is_harmless),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

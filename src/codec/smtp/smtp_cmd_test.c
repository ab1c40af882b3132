/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "base/test.h"
#include "codec/smtp/smtp_batch.h"
#include "codec/smtp/smtp_cmd.h"

/* line, verb, reply code when refused (0: accepted), the argument when accepted. */
static const struct {
	const char *line;
	enum smtp_verb verb;
	unsigned code;
	const char *enhanced;
	const char *arg;
} lines[] = {
	{"EHLO client.example", SMTP_VERB_EHLO, 0, NULL, "client.example"},
	{"ehlo [192.0.2.1]", SMTP_VERB_EHLO, 0, NULL, "[192.0.2.1]"},
	{"HELO  x ", SMTP_VERB_HELO, 0, NULL, "x"},
	{"LHLO x", SMTP_VERB_LHLO, 0, NULL, "x"},
	{"EHLO", SMTP_VERB_EHLO, 501, "5.5.4", NULL},
	{"EHLO a b", SMTP_VERB_EHLO, 501, "5.5.4", NULL},
	{"EHLO a\tb", SMTP_VERB_EHLO, 501, "5.5.2", NULL},
	{"EHLO \xff", SMTP_VERB_EHLO, 501, "5.5.4", NULL},
	{"MAIL FROM:<a@b.c>", SMTP_VERB_MAIL, 0, NULL, "FROM:<a@b.c>"},
	{"mail from: <a@b.c>", SMTP_VERB_MAIL, 0, NULL, NULL},
	{"MAIL FROM:<>", SMTP_VERB_MAIL, 0, NULL, NULL},
	{"MAIL FROM:", SMTP_VERB_MAIL, 501, "5.1.7", NULL},
	{"MAIL", SMTP_VERB_MAIL, 501, "5.5.4", NULL},
	{"MAIL TO:<a@b.c>", SMTP_VERB_MAIL, 501, "5.5.4", NULL},
	{"MAIL FROM:<a>", SMTP_VERB_MAIL, 504, "5.5.2", NULL},
	{"MAIL FROM:<a@b@c>", SMTP_VERB_MAIL, 501, "5.1.7", NULL},
	{"MAIL FROM:<a@b.c>SIZE=1", SMTP_VERB_MAIL, 501, "5.1.7", NULL},
	{"MAIL FROM:<a@b.c> SIZE=x", SMTP_VERB_MAIL, 501, "5.5.4", NULL},
	{"MAIL FROM:<a@b.c> SIZE", SMTP_VERB_MAIL, 501, "5.5.4", NULL},
	{"MAIL FROM:<a@b.c> SIZE=", SMTP_VERB_MAIL, 501, "5.5.4", NULL},
	{"MAIL FROM:<a@b.c> SIZE=1 SIZE=2", SMTP_VERB_MAIL, 501, "5.5.4", NULL},
	{"MAIL FROM:<a@b.c> SIZE=123456789012345678901", SMTP_VERB_MAIL, 501, "5.5.4", NULL},
	{"MAIL FROM:<a@b.c> BODY=BINARYMIME", SMTP_VERB_MAIL, 504, "5.5.4", NULL},
	{"MAIL FROM:<a@b.c> BODY=9BIT", SMTP_VERB_MAIL, 501, "5.5.4", NULL},
	{"MAIL FROM:<a@b.c> BODY=7BIT BODY=7BIT", SMTP_VERB_MAIL, 501, "5.5.4", NULL},
	{"MAIL FROM:<a@b.c> SMTPUTF8=1", SMTP_VERB_MAIL, 501, "5.5.4", NULL},
	{"MAIL FROM:<a@b.c> RET=ALL", SMTP_VERB_MAIL, 501, "5.5.4", NULL},
	{"MAIL FROM:<a@b.c> ENVID=a+b", SMTP_VERB_MAIL, 501, "5.5.4", NULL},
	{"MAIL FROM:<a@b.c> XFOO=1", SMTP_VERB_MAIL, 555, "5.5.4", NULL},
	{"MAIL FROM:<a@b.c> HOLDFOR=0", SMTP_VERB_MAIL, 0, NULL, NULL},
	{"MAIL FROM:<a@b.c> HOLDFOR=", SMTP_VERB_MAIL, 501, "5.5.4", NULL},
	{"MAIL FROM:<a@b.c> HOLDFOR=-1", SMTP_VERB_MAIL, 501, "5.5.4", NULL},
	{"MAIL FROM:<a@b.c> HOLDFOR=1234567890", SMTP_VERB_MAIL, 501, "5.5.4", NULL},
	{"MAIL FROM:<a@b.c> HOLDFOR=1 HOLDUNTIL=2026-01-31T08:00:00Z", SMTP_VERB_MAIL, 501, "5.5.4",
	 NULL},
	{"MAIL FROM:<a@b.c> HOLDUNTIL=2026-01-31T08:00:00", SMTP_VERB_MAIL, 501, "5.5.4", NULL},
	{"MAIL FROM:<a@b.c> HOLDUNTIL=2026-02-31T08:00:00Z", SMTP_VERB_MAIL, 501, "5.5.4", NULL},
	{"MAIL FROM:<a@b.c> HOLDUNTIL=2026-01-31 08:00:00Z", SMTP_VERB_MAIL, 501, "5.5.4", NULL},
	{"MAIL FROM:<a@b.c> HOLDUNTIL=2026-01-31T08:00:00+24:00", SMTP_VERB_MAIL, 501, "5.5.4",
	 NULL},
	{"MAIL FROM:<a@b.c> HOLDUNTIL=2026-01-31T08:00:00+1:000", SMTP_VERB_MAIL, 501, "5.5.4",
	 NULL},
	{"MAIL FROM:<a@b.c> BY=120;R", SMTP_VERB_MAIL, 0, NULL, NULL},
	{"MAIL FROM:<a@b.c> BY=0;R", SMTP_VERB_MAIL, 501, "5.5.4", NULL},
	{"MAIL FROM:<a@b.c> BY=-5;R", SMTP_VERB_MAIL, 501, "5.5.4", NULL},
	{"MAIL FROM:<a@b.c> BY=120", SMTP_VERB_MAIL, 501, "5.5.4", NULL},
	{"MAIL FROM:<a@b.c> BY=120;X", SMTP_VERB_MAIL, 501, "5.5.4", NULL},
	{"MAIL FROM:<a@b.c> BY=120;RX", SMTP_VERB_MAIL, 501, "5.5.4", NULL},
	{"MAIL FROM:<a@b.c> BY=;R", SMTP_VERB_MAIL, 501, "5.5.4", NULL},
	{"MAIL FROM:<a@b.c> BY=1;R BY=1;R", SMTP_VERB_MAIL, 501, "5.5.4", NULL},
	{"MAIL FROM:<a@b.c> MT-PRIORITY=10", SMTP_VERB_MAIL, 501, "5.5.4", NULL},
	{"MAIL FROM:<a@b.c> MT-PRIORITY=-0", SMTP_VERB_MAIL, 501, "5.5.4", NULL},
	{"MAIL FROM:<a@b.c> MT-PRIORITY=+1", SMTP_VERB_MAIL, 501, "5.5.4", NULL},
	{"MAIL FROM:<a@b.c> MT-PRIORITY", SMTP_VERB_MAIL, 501, "5.5.4", NULL},
	{"MAIL FROM:<a@b.c> MT-PRIORITY=1 MT-PRIORITY=1", SMTP_VERB_MAIL, 501, "5.5.4", NULL},
	{"MAIL FROM:<a@b.c> REQUIRETLS=1", SMTP_VERB_MAIL, 501, "5.5.4", NULL},
	{"MAIL FROM:<a@b.c> REQUIRETLS REQUIRETLS", SMTP_VERB_MAIL, 501, "5.5.4", NULL},
	{"MAIL FROM:<a@b.c> =1", SMTP_VERB_MAIL, 501, "5.5.4", NULL},
	{"RCPT TO:<a@b.c>", SMTP_VERB_RCPT, 0, NULL, NULL},
	{"RCPT TO:<postmaster>", SMTP_VERB_RCPT, 0, NULL, NULL},
	{"RCPT TO:<>", SMTP_VERB_RCPT, 501, "5.1.3", NULL},
	{"RCPT TO:<a>", SMTP_VERB_RCPT, 504, "5.5.2", NULL},
	{"RCPT FROM:<a@b.c>", SMTP_VERB_RCPT, 501, "5.5.4", NULL},
	{"RCPT TO:<a@b.c> NOTIFY=NEVER,DELAY", SMTP_VERB_RCPT, 501, "5.5.4", NULL},
	{"RCPT TO:<a@b.c> NOTIFY=", SMTP_VERB_RCPT, 501, "5.5.4", NULL},
	{"RCPT TO:<a@b.c> NOTIFY=DELAY,DELAY", SMTP_VERB_RCPT, 501, "5.5.4", NULL},
	{"RCPT TO:<a@b.c> ORCPT=rfc822", SMTP_VERB_RCPT, 501, "5.5.4", NULL},
	{"RCPT TO:<a@b.c> ORCPT=rfc822;a+b", SMTP_VERB_RCPT, 501, "5.5.4", NULL},
	{"RCPT TO:<a@b.c> SIZE=1", SMTP_VERB_RCPT, 555, "5.5.4", NULL},
	{"DATA", SMTP_VERB_DATA, 0, NULL, ""},
	{"DATA ", SMTP_VERB_DATA, 0, NULL, ""},
	{"DATA x", SMTP_VERB_DATA, 501, "5.5.4", NULL},
	{"BDAT 0", SMTP_VERB_BDAT, 0, NULL, "0"},
	{"BDAT 86 last", SMTP_VERB_BDAT, 0, NULL, "86 last"},
	{"BDAT", SMTP_VERB_BDAT, 501, "5.5.4", NULL},
	{"BDAT -1", SMTP_VERB_BDAT, 501, "5.5.4", NULL},
	{"BDAT 1 FIRST", SMTP_VERB_BDAT, 501, "5.5.4", NULL},
	{"BDAT 99999999999999999999", SMTP_VERB_BDAT, 501, "5.5.4", NULL},
	{"RSET", SMTP_VERB_RSET, 0, NULL, ""},
	{"RSET x", SMTP_VERB_RSET, 501, "5.5.4", NULL},
	{"NOOP", SMTP_VERB_NOOP, 0, NULL, ""},
	{"NOOP what ever", SMTP_VERB_NOOP, 0, NULL, "what ever"},
	{"VRFY bob", SMTP_VERB_VRFY, 0, NULL, "bob"},
	{"VRFY", SMTP_VERB_VRFY, 501, "5.5.4", NULL},
	{"EXPN list", SMTP_VERB_EXPN, 0, NULL, "list"},
	{"HELP", SMTP_VERB_HELP, 0, NULL, ""},
	{"QUIT", SMTP_VERB_QUIT, 0, NULL, ""},
	{"quit now", SMTP_VERB_QUIT, 501, "5.5.4", NULL},
	{"STARTTLS", SMTP_VERB_STARTTLS, 0, NULL, ""},
	{"AUTH PLAIN", SMTP_VERB_AUTH, 0, NULL, "PLAIN"},
	{"AUTH", SMTP_VERB_AUTH, 501, "5.5.4", NULL},
	{"AUTH PLAIN a b", SMTP_VERB_AUTH, 501, "5.5.4", NULL},
	{"AUTH PL?IN", SMTP_VERB_AUTH, 501, "5.5.4", NULL},
	{"", SMTP_VERB_UNKNOWN, 500, "5.5.2", NULL},
	{"MAILX FROM:<a@b.c>", SMTP_VERB_UNKNOWN, 500, "5.5.2", NULL},
	{"GET / HTTP/1.1", SMTP_VERB_UNKNOWN, 500, "5.5.2", NULL},
};

static void test_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		struct smtp_cmd cmd;
		struct smtp_status refusal = {0};
		int r = smtp_cmd_parse(str_c(lines[i].line), &cmd, &refusal);
		if ((r < 0) != (lines[i].code != 0) || refusal.code != lines[i].code ||
		    cmd.verb != lines[i].verb)
			fail_msg("%s: %d, verb %d, code %u", lines[i].line, r, (int)cmd.verb,
				 refusal.code);
		if (r < 0)
			assert_string_equal(refusal.enhanced, lines[i].enhanced);
		else if (lines[i].arg)
			assert_str(cmd.arg, lines[i].arg);
	}
}

static void test_mail_parameters(void **state)
{
	(void)state;
	struct smtp_cmd cmd;
	struct smtp_status refusal;
	struct str line = STR("MAIL FROM:<a@b.c> size=812 Body=8BITMIME SMTPUTF8 RET=HDRS "
			      "ENVID=QQ+2B314 AUTH=<>");
	assert_int_equal(smtp_cmd_parse(line, &cmd, &refusal), 0);
	assert_str(smtp_addr_str(&cmd.mail.from), "a@b.c");
	assert_true(cmd.mail.has_size);
	assert_int_equal(cmd.mail.size, 812);
	assert_int_equal(cmd.mail.body, SMTP_BODY_8BITMIME);
	assert_true(cmd.mail.smtputf8);
	assert_int_equal(cmd.mail.ret, SMTP_RET_HDRS);
	assert_str(cmd.mail.envid, "QQ+2B314");
	assert_str(cmd.mail.auth, "<>");
	line = STR("MAIL FROM:<> SIZE=99999999999999999999");
	assert_int_equal(smtp_cmd_parse(line, &cmd, &refusal), 0);
	assert_true(cmd.mail.size == UINT64_MAX);
	assert_true(smtp_addr_is_null(&cmd.mail.from));
}

static void test_rcpt_parameters(void **state)
{
	(void)state;
	struct smtp_cmd cmd;
	struct smtp_status refusal;
	struct str line =
		STR("RCPT TO:<'a@b.c'> NOTIFY=SUCCESS,failure,DELAY ORCPT=rfc822;A+2Bx@b.c");
	assert_int_equal(smtp_cmd_parse(line, &cmd, &refusal), 0);
	assert_str(smtp_addr_str(&cmd.rcpt.to), "a@b.c");
	assert_int_equal(cmd.rcpt.notify,
			 SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_FAILURE | SMTP_NOTIFY_DELAY);
	assert_str(cmd.rcpt.orcpt, "rfc822;A+2Bx@b.c");
	line = STR("RCPT TO:<j\xc3\xbc@b.c> ORCPT=utf-8;j\\x{FC}@b.c NOTIFY=NEVER");
	assert_int_equal(smtp_cmd_parse(line, &cmd, &refusal), 0);
	assert_true(cmd.rcpt.to.utf8);
	assert_int_equal(cmd.rcpt.notify, SMTP_NOTIFY_NEVER);
}

/* Each prefix in memory of exactly its size, so that reading past it is seen. */
static void test_cut_everywhere(void **state)
{
	(void)state;
	static const char *const whole[] = {
		"MAIL FROM:<@r.c:\"a b\"@b.c> SIZE=812 BODY=8BITMIME RET=HDRS ENVID=QQ+2B AUTH=<>",
		"RCPT TO:<'a@b.c'> NOTIFY=SUCCESS,DELAY ORCPT=utf-8;\\x{FC}@b.c",
		"BDAT 1000 LAST",
		"AUTH PLAIN AGEAYg==",
	};
	for (size_t i = 0; i < ARRAY_LEN(whole); i++) {
		for (size_t n = 0; n <= strlen(whole[i]); n++) {
			struct smtp_cmd cmd;
			struct smtp_status refusal = {0};
			struct str rest, initial;
			char *cut = memcpy(xcalloc(1, n), whole[i], n);
			int r = smtp_cmd_parse(str_make(cut, n), &cmd, &refusal);
			assert_true(r == 0 || refusal.code >= 500);
			assert_true(n < strlen(whole[i]) || r == 0);
			(void)smtp_cmd_split_auth(str_make(cut, n), &rest, &initial);
			free(cut);
		}
	}
}

static void test_split_auth(void **state)
{
	(void)state;
	struct str line, initial;
	assert_true(smtp_cmd_split_auth(STR("auth  PLAIN  AGEAYg== "), &line, &initial));
	assert_str(line, "auth  PLAIN");
	assert_str(initial, "AGEAYg==");
	assert_false(smtp_cmd_split_auth(STR("AUTH LOGIN"), &line, &initial));
	assert_str(line, "AUTH LOGIN");
	assert_false(smtp_cmd_split_auth(STR("NOOP a b"), &line, &initial));
	struct smtp_cmd cmd;
	struct smtp_status refusal;
	assert_int_equal(smtp_cmd_parse(STR("AUTH LOGIN ="), &cmd, &refusal), 0);
	assert_str(cmd.auth.mechanism, "LOGIN");
	assert_str(cmd.auth.initial, "=");
}

static void test_batch(void **state)
{
	(void)state;
	AUTO(buf) struct buf batch = BUF_INIT(KIB(1));
	smtp_batch_add(&batch, SMTP_LINE_OK, STR("MAIL FROM:<>"));
	smtp_batch_add(&batch, SMTP_LINE_TOO_LONG, STR("dropped"));
	smtp_batch_add(&batch, SMTP_LINE_MALFORMED, STR_NULL);
	smtp_batch_add(&batch, SMTP_LINE_OK, STR(""));
	struct str rest = buf_str(&batch), line;
	enum smtp_line_kind kind;
	assert_true(smtp_batch_next(&rest, &kind, &line));
	assert_int_equal(kind, SMTP_LINE_OK);
	assert_str(line, "MAIL FROM:<>");
	assert_true(smtp_batch_next(&rest, &kind, &line));
	assert_int_equal(kind, SMTP_LINE_TOO_LONG);
	assert_str(line, "");
	assert_true(smtp_batch_next(&rest, &kind, &line));
	assert_int_equal(kind, SMTP_LINE_MALFORMED);
	assert_true(smtp_batch_next(&rest, &kind, &line));
	assert_int_equal(kind, SMTP_LINE_OK);
	assert_false(smtp_batch_next(&rest, &kind, &line));

	assert_true(smtp_batch_ends(SMTP_LINE_OK, STR("data")));
	assert_true(smtp_batch_ends(SMTP_LINE_OK, STR("BDAT 5")));
	assert_true(smtp_batch_ends(SMTP_LINE_OK, STR("STARTTLS")));
	assert_true(smtp_batch_ends(SMTP_LINE_OK, STR("AUTH PLAIN")));
	assert_true(smtp_batch_ends(SMTP_LINE_OK, STR("QUIT")));
	assert_false(smtp_batch_ends(SMTP_LINE_OK, STR("RCPT TO:<data@b.c>")));
	assert_false(smtp_batch_ends(SMTP_LINE_TOO_LONG, STR("DATA")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),		cmocka_unit_test(test_mail_parameters),
		cmocka_unit_test(test_rcpt_parameters), cmocka_unit_test(test_cut_everywhere),
		cmocka_unit_test(test_split_auth),	cmocka_unit_test(test_batch),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

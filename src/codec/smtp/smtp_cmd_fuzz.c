/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "codec/smtp/smtp_batch.h"
#include "codec/smtp/smtp_cmd.h"

static void check_inside(struct str part, struct str whole)
{
	CHECK(!part.n || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n));
}

static void try_line(struct str line)
{
	struct smtp_cmd cmd;
	struct smtp_status refusal = {0};
	struct str rest, initial = STR_NULL;
	AUTO(buf) struct buf out = BUF_INIT(KIB(64));

	int r = smtp_cmd_parse(line, &cmd, &refusal);
	CHECK(cmd.verb == smtp_cmd_verb(line));
	if (r < 0) {
		CHECK(refusal.code >= 500 && refusal.code < 600 && refusal.enhanced &&
		      refusal.text);
		CHECK(smtp_reply_status(&out, refusal) == 0);
	} else {
		check_inside(cmd.arg, line);
		if (cmd.verb == SMTP_VERB_MAIL)
			check_inside(cmd.mail.envid, line);
		else if (cmd.verb == SMTP_VERB_RCPT)
			check_inside(cmd.rcpt.orcpt, line);
	}
	if (smtp_cmd_split_auth(line, &rest, &initial))
		CHECK(smtp_cmd_verb(rest) == SMTP_VERB_AUTH);
	check_inside(rest, line);
	check_inside(initial, line);
	buf_reset(&out);
	CHECK(smtp_reply(&out, 250, "2.0.0", line) == 0 || line.n > KIB(1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str batch = str_make((const char *)data, size), line;
	enum smtp_line_kind kind;

	try_line(batch);
	while (smtp_batch_next(&batch, &kind, &line))
		try_line(line);
	return 0;
}

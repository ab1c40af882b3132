/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/smtp/smtp_batch.h"
#include "codec/smtp/smtp_cmd.h"

int smtp_batch_add(struct buf *batch, enum smtp_line_kind kind, struct str line)
{
	buf_addc(batch, (char)kind);
	if (kind == SMTP_LINE_OK)
		buf_add(batch, line);
	return buf_addc(batch, '\n');
}

bool smtp_batch_ends(enum smtp_line_kind kind, struct str line)
{
	if (kind != SMTP_LINE_OK)
		return false;
	enum smtp_verb verb = smtp_cmd_verb(line);
	return verb == SMTP_VERB_DATA || verb == SMTP_VERB_BDAT || verb == SMTP_VERB_BURL ||
	       verb == SMTP_VERB_STARTTLS || verb == SMTP_VERB_AUTH || verb == SMTP_VERB_QUIT ||
	       verb == SMTP_VERB_XCLIENT;
}

bool smtp_batch_next(struct str *batch, enum smtp_line_kind *ret_kind, struct str *ret_line)
{
	struct str line;
	if (batch->n == 0 || !str_cut(batch, '\n', &line))
		return false;
	*ret_kind = SMTP_LINE_MALFORMED;
	*ret_line = str_skip(line, 1);
	if (line.n && (line.p[0] == SMTP_LINE_OK || line.p[0] == SMTP_LINE_TOO_LONG))
		*ret_kind = (enum smtp_line_kind)line.p[0];
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/imap/imap_write.h"
#include "proto/imap/imap_int.h"
#include "proto/reply_map.h"
#include "sys/log.h"

static void reply_set(struct buf *b, const char *status, const char *code, const char *text)
{
	buf_reset(b);
	buf_addf(b, "%s ", status);
	if (code && *code)
		buf_addf(b, "[%s] ", code);
	imap_write_text(b, str_c(text));
}

void reply_ok(struct imap_session *s, const char *code, const char *text)
{
	reply_set(&s->run.reply, "OK", code, text);
}

void reply_no(struct imap_session *s, const char *code, const char *text)
{
	reply_set(&s->run.reply, "NO", code, text);
}

void reply_bad(struct imap_session *s, const char *text)
{
	reply_set(&s->run.reply, "BAD", NULL, text);
}

void reply_uid_required(struct imap_session *s)
{
	reply_set(&s->run.reply, "BAD", "UIDREQUIRED", "Only UIDs are used after UIDONLY.");
}

static const char *public_text(int r, const struct fail *why)
{
	return why->public[0] ? why->public : fail_public_default(reply_map_find(r)->code);
}

/* Is it this server that does not work, rather than the request? */
static bool is_servers_fault(enum fail_code code)
{
	return code == FAIL_TEMP || code == FAIL_IO || code == FAIL_CORRUPT || code == FAIL_BUG ||
	       code == FAIL_PEER || code == FAIL_DEADLINE;
}

void reply_failed(struct imap_session *s, int r, const struct fail *why)
{
	const struct reply_map *row = reply_map_find(r);
	reply_set(&s->run.reply, row->imap_status, row->imap_code, public_text(r, why));
	log_event(is_servers_fault(row->code) ? LOG_ERROR : LOG_DEBUG, "imap.refused",
		  log_c("command", s->run.row ? imap_cmd_name(s->run.cmd.kind) : ""),
		  log_c("user", s->address), log_fail(why));
}

int reply_target(struct imap_session *s, int r, const struct fail *why)
{
	if (r != -FAIL_NOTFOUND)
		return r;
	reply_no(s, "TRYCREATE", public_text(r, why));
	return RUN_DONE;
}

void reply_bye(struct imap_session *s, struct imap_out *out, const char *text)
{
	buf_addf(&out->text, "* BYE %s\r\n", text);
	s->run.close = true;
}

void imap_write_refusal(struct buf *out, struct str tag, int r, const struct fail *why)
{
	const struct reply_map *row = reply_map_find(r);
	AUTO(buf) struct buf line = BUF_INIT(KIB(4));
	reply_set(&line, row->imap_status, row->imap_code, public_text(r, why));
	buf_add(out, tag.n ? tag : STR("*"));
	buf_addc(out, ' ');
	buf_add(out, buf_str(&line));
	buf_add(out, STR("\r\n"));
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BURL (RFC 4468): a part of the message comes from a mailbox, by a URL that carries its right. To
 * edge it is a BDAT whose octets we have already, so both mix as the client likes.
 */
#include "codec/imap/imap_url.h"
#include "proto/smtp/smtp_session_int.h"
#include "sys/log.h"

bool smtp_burl_offered(const struct smtp_session *s)
{
	return s->service == SMTP_SERVICE_SUBMISSION && s->account.v && s->backend->burl;
}

/* RFC 4468 section 4; 5.7.14 is RFC 5248's in place of 5.7.8. */
static struct smtp_status reply_to(int r)
{
	switch (-r) {
	case FAIL_AUTH:
		return (struct smtp_status){554, "5.7.14",
					    "URL resolution requires trust relationship"};
	case FAIL_TOOBIG:
		return (struct smtp_status){554, "5.3.4", "Message too big for system"};
	case FAIL_PERM:
	case FAIL_NOTFOUND:
	case FAIL_SYNTAX:
		return (struct smtp_status){554, "5.6.6", "IMAP URL resolution failed"};
	default:
		return (struct smtp_status){451, "4.4.1", "IMAP server unavailable"};
	}
}

static int fetch(struct smtp_turn *t, struct str url, int *ret_fd, uint64_t *ret_size,
		 struct fail *why)
{
	struct smtp_session *s = t->s;
	AUTO(arena) struct arena a = ARENA_INIT(MIB(1));
	struct imap_url u;
	int r = imap_url_parse(url, true, &a, &u, why);
	struct smtp_burl b = {.url = url, .max = s->config->size_max - s->t.bdat_size};
	if (r == 0) {
		b.owner = u.user;
		r = s->backend->burl(s->backend->ctx, &b, ret_fd, ret_size, why);
	}
	return r == -FAIL_LIMIT ? -FAIL_SYNTAX : r;
}

/* A message that misses a part is none: the transaction ends with the refusal. */
void smtp_cmd_burl(struct smtp_turn *t, const struct smtp_cmd *cmd)
{
	struct smtp_session *s = t->s;
	struct smtp_status refusal;
	struct fail why = FAIL_INIT;
	uint64_t size = 0;
	int fd = -1;
	if (smtp_data_refusal(s, &refusal)) {
		smtp_refuse(t, refusal, "BURL", s->t.from, NULL);
		return;
	}
	if (!smtp_burl_offered(s)) {
		smtp_say(t, (struct smtp_status){502, "5.5.1", "BURL is not offered"});
		return;
	}
	if (!s->t.bdat && smtp_filter_data(t))
		return;
	int r = fetch(t, cmd->burl.url, &fd, &size, &why);
	if (r < 0) {
		smtp_refuse(t, reply_to(r), "BURL", s->t.from, &why);
		smtp_transaction_reset(s);
		return;
	}
	smtp_chunk_begin(t, size, cmd->burl.last);
	t->ret->fed = true;
	t->ret->feed = fd;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What the postmaster is told by mail while a session is under way. */
#include "base/text.h"
#include "base/utf8.h"
#include "codec/smtp/received.h"
#include "proto/smtp/smtp_message.h"

#define ALERT_MAX KIB(16)

static void write_head(const struct smtp_session *s, const struct smtp_alert *what, struct str to,
		       struct buf *out)
{
	struct wall_us now = s->backend->now(s->backend->ctx);
	const char *host = s->config->hostname;
	buf_addf(out, "From: <postmaster@%s>\r\nTo: <%.*s>\r\n",
		 s->config->postmaster_domain ? s->config->postmaster_domain : host, STR_ARG(to));
	buf_addf(out, "Subject: %s %.*s\r\nDate: ", text_of(what->subject), STR_ARG(what->about));
	rfc5322_date_write(out, now);
	buf_addf(out,
		 "\r\nMessage-ID: <alert.%llx.%llx@%s>\r\nAuto-Submitted: auto-generated\r\n"
		 "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
		 "Content-Transfer-Encoding: 8bit\r\n\r\n",
		 (unsigned long long)now.v, (unsigned long long)s->trace.v, host);
}

int smtp_alert(struct smtp_session *s, const struct smtp_alert *what, struct str reason,
	       struct fail *why)
{
	const struct smtp_backend *b = s->backend;
	AUTO(arena) struct arena a = ARENA_INIT(MIB(1));
	AUTO(buf) struct buf text = BUF_INIT(ALERT_MAX), map = BUF_INIT(SMTP_MAP_MAX);
	struct smtp_scan_defaults none = {0};
	struct dir_route route = {0};
	struct str to = arena_printf(&a, "postmaster@%s",
				     s->config->postmaster_domain ? s->config->postmaster_domain
								  : s->config->hostname);
	uint64_t number = 0;
	const struct text_language *spoken = text_spoken();
	(void)text_speak(s->config->language ? text_find_language(s->config->language) : spoken);
	write_head(s, what, to, &text);
	what->write(s, reason, &text);
	(void)text_speak(spoken);
	struct smtp_body body = {.bytes = buf_str(&text), .size = text.n};
	struct smtp_scan found = {.map = map, .size = text.n, .view = -1};
	int r = b->route(b->ctx, &(struct dir_rcpt){.address = to}, &a, &route, why);
	if (r == 0 && (route.verdict != DIR_OK || route.n == 0))
		r = fail_set(why, FAIL_NOTFOUND, NULL, "there is no postmaster");
	struct spool_rcpt *rcpts = arena_array(&a, struct spool_rcpt, route.n);
	for (size_t i = 0; rcpts && i < route.n; i++)
		rcpts[i] = (struct spool_rcpt){.to = route.dests[i], .original = to};
	if (r == 0 && rcpts)
		r = b->scan(b->ctx, &body, &none, &found, why);
	if (r == 0) {
		struct spool_message m = {.trace = s->trace,
					  .body = body.bytes,
					  .body_size = body.size,
					  .eightbit = !str_is_ascii(body.bytes),
					  .map = buf_str(&found.map),
					  .arrival = b->now(b->ctx),
					  .rcpts = rcpts,
					  .n_rcpts = route.n};
		memcpy(m.sha256, found.sha256, sizeof m.sha256);
		r = b->submit(b->ctx, &m, STR(""), &number, why);
	}
	buf_clear(&found.map);
	return r;
}

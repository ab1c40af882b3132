/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/smtp/smtp_draft.h"
#include <errno.h>
#include <unistd.h>

#define INLINE_MAX KIB(60) /* larger bodies are files */

struct smtp_draft smtp_draft_of(const struct smtp_backend *b)
{
	return (struct smtp_draft){.b = b, .bytes = BUF_INIT(INLINE_MAX), .fd = -1};
}

static bool is_file(const struct smtp_draft *d)
{
	return d->fd >= 0;
}

void smtp_draft_clear(struct smtp_draft *d)
{
	if (is_file(d)) {
		(void)close(d->fd);
		d->fd = -1;
		d->b->body_drop(d->b->ctx, d->id);
	}
	buf_clear(&d->bytes);
	d->size = 0;
}

static int write_all(int fd, struct str s, struct fail *why)
{
	while (s.n) {
		ssize_t n = write(fd, s.p, s.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fail_errno(why, FAIL_LIMIT, "writing a body file");
		s = str_skip(s, (size_t)n);
	}
	return 0;
}

int smtp_draft_add(struct smtp_draft *d, struct str s, struct fail *why)
{
	int r = 0;
	d->size += s.n;
	if (!is_file(d) && d->size <= INLINE_MAX)
		return buf_add(&d->bytes, s);
	if (!is_file(d)) {
		r = d->b->body_create(d->b->ctx, &d->id, &d->fd, why);
		if (r == 0)
			r = write_all(d->fd, buf_str(&d->bytes), why);
		buf_clear(&d->bytes);
	}
	return r < 0 ? r : write_all(d->fd, s, why);
}

int smtp_draft_take(struct smtp_draft *d, struct smtp_incoming *in, struct fail *why)
{
	struct smtp_session *s = in->s;
	if (smtp_body_is_stored(in->body))
		s->backend->body_drop(s->backend->ctx, in->body->id);
	s->t.body_id = (struct spool_body_id){{0}};
	buf_clear(&in->bytes);
	in->rewritten = (struct smtp_body){.size = d->size};
	if (is_file(d)) {
		in->rewritten.id = s->t.body_id = d->id;
		(void)close(d->fd);
		d->fd = -1;
	} else {
		in->bytes = buf_move(&d->bytes);
		in->rewritten.bytes = buf_str(&in->bytes);
	}
	in->body = &in->rewritten;
	if (in->scan.view >= 0)
		(void)close(in->scan.view);
	in->scan.view = -1;
	buf_reset(&in->scan.map);
	in->scan.size = d->size;
	return smtp_message_rescan(in, why);
}

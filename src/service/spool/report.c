/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Delivery status notifications: composed from the rows of the original and put into the spool as
 * a message with the null sender, whose one recipient is still to be routed.
 */
#include "spool_int.h"

#include "base/encode.h"
#include "codec/smtp/dsn.h"
#include "sys/clock.h"
#include "sys/crash.h"
#include "sys/rand.h"
#include "sys/sha256.h"

enum { HEADER_MAX = 32 * 1024 };

/* The start of the original: prefix and as much of the body as is there, at most max bytes. */
static void read_original(struct spool *sp, const struct message_row *m, struct buf *prefix,
			  struct buf *body)
{
	AUTO(fs_file) struct fs_file *f = NULL;
	size_t got = 0;

	(void)buf_add(prefix, str_sub(m->prefix, 0, prefix->max));
	if (!body_id_is_set(m->body_id)) {
		(void)buf_add(body, str_sub(m->body, 0, body->max));
		return;
	}
	/* Without its file the report still says what happened. */
	if (body_open(sp, m->body_id, &f, NULL) < 0)
		return;
	size_t n = (size_t)MIN(m->body_size, (uint64_t)body->max);
	char *room = buf_room(body, n);
	if (room && fs_pread(f, room, n, 0, &got, NULL) == 0)
		buf_added(body, got);
}

/* Where the header ends: after its empty line, or everything. */
static size_t header_length(struct str s)
{
	if (str_starts(s, STR("\r\n")))
		return 2;
	size_t at = str_find_str(s, 0, STR("\r\n\r\n"));
	return at == s.n ? s.n : at + 4;
}

static void fill_rcpts(const struct spool *sp, const struct message_row *m,
		       const struct report_set *set, struct dsn_rcpt *out)
{
	static const enum dsn_action actions[] = {
		[REPORT_FAILED] = DSN_FAILED,
		[REPORT_DELAYED] = DSN_DELAYED,
		[REPORT_DELIVERED] = DSN_DELIVERED,
		[REPORT_RELAYED] = DSN_RELAYED,
	};

	for (size_t i = 0; i < set->n; i++) {
		const struct rcpt_row *row = &set->rcpts[i].row;
		out[i] = (struct dsn_rcpt){
			/* What the sender wrote; where an alias led is not the sender's business.
			 */
			.address = row->original.n ? row->original : row->to.address,
			.orcpt = row->orcpt,
			.action = actions[set->kind],
			.status = str_c(set->rcpts[i].status),
			.diagnostic = set->rcpts[i].text,
			.remote_mta = set->rcpts[i].server,
			.last_attempt = clock_wall(),
		};
		if (set->kind == REPORT_DELAYED)
			out[i].will_retry_until.v =
				MIN(MAX(m->arrival.v, m->wish.hold_until.v), INT64_MAX / 2) +
				(int64_t)sp->c.lifetime_s * SEC_US;
	}
}

/* Write it; with less of the original when it does not fit. */
static int compose(const struct spool *sp, struct dsn *d, struct str prefix, struct str body,
		   struct buf *out)
{
	AUTO(buf) struct buf header = BUF_INIT(2 * HEADER_MAX + 4);
	size_t head = header_length(body);
	bool whole = d->full && prefix.n + body.n <= sp->c.dsn_return_max;

	(void)buf_add(&header, prefix);
	(void)buf_add(&header, str_sub(body, 0, MIN(head, (size_t)HEADER_MAX)));
	if (!str_ends(buf_str(&header), STR("\r\n\r\n")))
		(void)buf_add(&header, STR("\r\n\r\n"));
	d->header = buf_str(&header);
	d->body = str_skip(body, head);
	for (unsigned less = whole ? 0 : 1; less < 3; less++) {
		d->full = less == 0;
		if (less == 2)
			d->header = STR_NULL; /* a monstrous header: leave it out */
		buf_reset(out);
		int r = dsn_write(out, d);
		if (r != -FAIL_LIMIT)
			return r;
	}
	return -FAIL_LIMIT;
}

/* To whom: the sender, or with KIND_NOTICE the postmaster. */
static int insert(struct spool *sp, const struct message_row *m, const char *about,
		  enum message_kind as, struct str text, struct settled *out, struct fail *why)
{
	struct wall_us now = clock_wall();
	struct str whom = as == KIND_NOTICE ? str_c(sp->double_bounce_to) : m->sender;
	struct spool_rcpt to = {
		.to = {.address = whom},
		.original = whom,
		.notify = SPOOL_NOTIFY_NEVER,
	};
	struct spool_message dsn = {
		.trace = m->trace,
		.smtputf8 = m->smtputf8,
		.eightbit = true,
		.wish = {.requiretls = m->wish.requiretls, .priority = m->wish.priority},
		.body = text,
		.body_size = text.n,
		.arrival = now,
		.rcpts = &to,
		.n_rcpts = 1,
	};
	uint64_t number = 0;

	sha256_of(text, dsn.sha256);
	int r = rows_insert(sp, &dsn, as, &number, why);
	CRASH_POINT("spool.report");
	if (r < 0)
		return r;
	out->dsns++;
	struct rcpt_row row = {.key = {m->number, 0}, .to = to.to};
	struct spool_event *e = vec_push(&out->events);
	event_fill(e, m, &row, "", STR(""));
	e->kind = SPOOL_EVENT_REPORT;
	e->about = about;
	e->report = number;
	*(struct change *)vec_push(&out->changes) =
		(struct change){.kind = CHANGE_ADD, .key = {number, 0}, .state = SPOOL_ROUTING};
	return 0;
}

/* The sender's own, if there is such a translation; else the server's. */
static const struct text_language *language_of(const struct spool *sp, const struct message_row *m)
{
	char name[24];

	if (m->language.n == 0)
		return sp->c.language;
	(void)snprintf(name, sizeof name, "%.*s", STR_ARG(m->language));
	const struct text_language *own = text_find_language(name);
	return own || strncasecmp(name, "en", 2) == 0 ? own : sp->c.language;
}

static int compose_for(struct spool *sp, const struct message_row *m, const struct report_set *set,
		       struct str to, struct buf *text, struct fail *why)
{
	AUTO(buf) struct buf prefix = BUF_INIT(HEADER_MAX);
	AUTO(buf) struct buf body = BUF_INIT(MAX(sp->c.dsn_return_max, (size_t)HEADER_MAX));
	AUTO_MEM struct dsn_rcpt *list = xcalloc(set->n, sizeof *list);
	char queue_id[24];
	char unique[24];

	(void)snprintf(queue_id, sizeof queue_id, "%llu", (unsigned long long)m->number);
	(void)snprintf(unique, sizeof unique, "%016llx", (unsigned long long)rand_u64());
	read_original(sp, m, &prefix, &body);
	fill_rcpts(sp, m, set, list);
	struct dsn d = {
		.reporting_mta = str_c(sp->hostname),
		.postmaster_domain = str_c(sp->postmaster_domain),
		.to = to,
		.envid = m->envid,
		.queue_id = str_c(queue_id),
		.unique = str_c(unique),
		.arrival = m->arrival,
		.hold_until = m->wish.hold_until,
		.now = clock_wall(),
		.size = m->body_size,
		.language = language_of(sp, m),
		.utf8 = m->smtputf8,
		/* RFC 3461 4.3: RET concerns failures; other reports return the header. */
		/* RFC 8689 5: nor does what was to be read under TLS alone. */
		.full = set->kind == REPORT_FAILED && m->ret == SPOOL_RET_FULL &&
			!m->wish.requiretls,
		.rcpts = list,
		.rcpt_count = set->n,
	};
	/* So many recipients that no report holds them: tell of as many as fit. */
	int r = compose(sp, &d, buf_str(&prefix), buf_str(&body), text);
	while (r == -FAIL_LIMIT && d.rcpt_count > 1) {
		d.rcpt_count /= 2;
		r = compose(sp, &d, buf_str(&prefix), buf_str(&body), text);
	}
	if (r < 0)
		return fail_set(why, (enum fail_code) - r, NULL, "composing a report on message %s",
				queue_id);
	return 0;
}

int report_insert(struct spool *sp, const struct message_row *m, const struct report_set *set,
		  struct settled *out, struct fail *why)
{
	static const char *const kinds[] = {[REPORT_FAILED] = "failed",
					    [REPORT_DELAYED] = "delayed",
					    [REPORT_DELIVERED] = "delivered",
					    [REPORT_RELAYED] = "relayed"};
	AUTO(buf) struct buf text = BUF_INIT(sp->c.inline_max);
	int r = compose_for(sp, m, set, m->sender, &text, why);

	return r < 0 ? r : insert(sp, m, kinds[set->kind], KIND_REPORT, buf_str(&text), out, why);
}

int notice_insert(struct spool *sp, const struct message_row *m, const struct report_set *set,
		  struct settled *out, struct fail *why)
{
	AUTO(buf) struct buf text = BUF_INIT(sp->c.inline_max);

	if (m->kind != KIND_REPORT || set->n == 0 || !*sp->double_bounce_to)
		return 0;
	int r = compose_for(sp, m, set, str_c(sp->double_bounce_to), &text, why);
	return r < 0 ? r : insert(sp, m, "double bounce", KIND_NOTICE, buf_str(&text), out, why);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A result as text. */
#include "codec/sieve/sieve_run.h"

static void text(struct buf *out, struct str s)
{
	(void)buf_addc(out, '"');
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c == '"' || c == '\\')
			(void)buf_addf(out, "\\%c", c);
		else if (c == '\n')
			(void)buf_add(out, STR("\\n"));
		else if (c != '\r' && (c < ' ' || c == 127))
			(void)buf_addf(out, "\\x%02x", c);
		else if (c != '\r')
			(void)buf_addc(out, (char)c);
	}
	(void)buf_addc(out, '"');
}

static void tagged(struct buf *out, const char *tag, struct str s)
{
	if (s.n == 0)
		return;
	(void)buf_addf(out, " :%s ", tag);
	text(out, s);
}

static void store(struct buf *out, const struct sieve_store *s)
{
	tagged(out, "mailboxid", s->mailbox_id);
	tagged(out, "specialuse", s->special_use);
	(void)buf_add(out, s->create ? STR(" :create") : STR(""));
	if (s->n_flags == 0)
		return;
	(void)buf_add(out, STR(" :flags ["));
	for (size_t i = 0; i < s->n_flags; i++) {
		(void)buf_add(out, i ? STR(", ") : STR(""));
		text(out, s->flags[i]);
	}
	(void)buf_addc(out, ']');
}

static void answer(struct buf *out, const struct sieve_action *x)
{
	tagged(out, "from", x->from);
	tagged(out, "subject", x->subject);
	(void)buf_add(out, x->mime ? STR(" :mime") : STR(""));
	if (x->kind == SIEVE_VACATION)
		(void)buf_addf(out, " :seconds %llu", (unsigned long long)x->seconds);
	else
		(void)buf_addf(out, " :importance \"%c\"", x->importance);
	for (size_t i = 0; i < x->n_options; i++)
		tagged(out, "options", x->options[i]);
	if (x->store.mailbox.n) {
		tagged(out, "fcc", x->store.mailbox);
		store(out, &x->store);
	}
	tagged(out, "message", x->text);
}

static void one(struct buf *out, const struct sieve_action *x)
{
	static const char *const names[] = {"keep",    "fileinto", "redirect", "reject",
					    "ereject", "discard",  "vacation", "notify"};
	(void)buf_add_c(out, names[x->kind]);
	(void)buf_add(out, x->copy && x->kind <= SIEVE_REDIRECT ? STR(" :copy") : STR(""));
	if (x->kind == SIEVE_FILEINTO) {
		(void)buf_addc(out, ' ');
		text(out, x->store.mailbox);
	}
	if (x->address.p) {
		(void)buf_addc(out, ' ');
		text(out, x->address);
	}
	if (x->kind == SIEVE_KEEP || x->kind == SIEVE_FILEINTO)
		store(out, &x->store);
	if (x->kind == SIEVE_REDIRECT) {
		tagged(out, "notify", x->dsn_notify);
		tagged(out, "ret", x->dsn_ret);
	}
	if (x->kind == SIEVE_REJECT || x->kind == SIEVE_EREJECT) {
		(void)buf_addc(out, ' ');
		text(out, x->text);
	}
	if (x->kind == SIEVE_VACATION || x->kind == SIEVE_NOTIFY)
		answer(out, x);
	(void)buf_add(out, x->header.p ? STR(" # other header") : STR(""));
	(void)buf_add(out, x->n_body ? STR(" # other body") : STR(""));
	(void)buf_addc(out, '\n');
}

void sieve_result_write(const struct sieve_result *r, struct buf *out)
{
	if (r->error.n) {
		(void)buf_addf(out, "error in line %u: %.*s\n", r->error_line, STR_ARG(r->error));
		return;
	}
	for (size_t i = 0; i < r->n_actions; i++)
		one(out, &r->actions[i]);
	if (!r->keep)
		return;
	(void)buf_add(out, STR("implicit keep"));
	store(out, &r->keep_store);
	(void)buf_add(out, r->keep_header.p ? STR(" # other header") : STR(""));
	(void)buf_add(out, r->n_keep_body ? STR(" # other body") : STR(""));
	(void)buf_addc(out, '\n');
}

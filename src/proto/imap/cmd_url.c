/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_url.c - GENURLAUTH, RESETKEY, URLFETCH (RFC 4467 section 7).              [proto, imap]
 */
#include "codec/imap/imap_write.h"
#include "proto/imap/url_int.h"

static bool is_internal(struct str mechanism)
{
	return str_eqi(mechanism, STR(URL_MECHANISM));
}

/* One signed URL. Only for mailboxes of one's own: the key is the account's. */
static int sign(struct imap_session *s, const struct imap_url_ask *ask, struct buf *out,
		struct fail *why)
{
	unsigned char key[STORE_URL_KEY_LEN];
	AUTO(buf) struct buf signed_ = BUF_INIT(IMAP_URL_MAX + KIB(1));
	struct imap_url u;
	if (!is_internal(ask->mechanism))
		return fail_set(why, FAIL_SYNTAX, "The only mechanism is INTERNAL.", "mechanism");
	int r = imap_url_parse(ask->url, false, &s->run.arena, &u, why);
	if (r < 0)
		return r;
	if (s->guest || !str_eqi(u.user, str_c(s->address)))
		return fail_set(why, FAIL_PERM, "The URL is not of your mailboxes.", "user");
	r = store_url_key(s->store, s->account, u.mailbox, true, key, why);
	if (r < 0)
		return r;
	buf_addf(&signed_, "%.*s:%s:", STR_ARG(ask->url), URL_MECHANISM);
	url_token_write(&signed_, key, u.rump);
	explicit_bzero(key, sizeof key);
	buf_addc(out, ' ');
	imap_write_astring(out, buf_str(&signed_));
	return signed_.failed ? fail_set(why, FAIL_LIMIT, NULL, "a long URL") : 0;
}

int cmd_genurlauth(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	const struct imap_urls *urls = &s->run.cmd.urls;
	struct imap_out_mark mark = imap_out_mark(out);
	int r = 0;
	buf_add(&out->text, STR("* GENURLAUTH"));
	for (size_t i = 0; r == 0 && i < urls->n; i++)
		r = sign(s, &urls->ask[i], &out->text, why);
	buf_add(&out->text, STR("\r\n"));
	if (r < 0)
		imap_out_rollback(out, mark);
	return r;
}

int cmd_resetkey(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	const struct imap_resetkey *k = &s->run.cmd.resetkey;
	(void)out;
	for (size_t i = 0; i < k->mechanism_count; i++)
		if (!is_internal(k->mechanism[i]))
			return fail_set(why, FAIL_SYNTAX, "The only mechanism is INTERNAL.",
					"mechanism");
	if (s->guest)
		return fail_set(why, FAIL_PERM, "The keys are those of the mailbox's owner.",
				"guest");
	if (k->named && k->mailbox.n == 0)
		return fail_set(why, FAIL_NOTFOUND, "No such mailbox.", "no name");
	int r = store_url_key_reset(s->store, s->account, k->mailbox, why);
	if (r == 0)
		reply_ok(s, "URLMECH " URL_MECHANISM, "The keys are gone.");
	return r;
}

/* All of `from` behind what is in `to`. */
static void append_out(struct imap_out *to, struct imap_out *from)
{
	size_t at = 0;
	for (size_t i = 0; i < from->pieces.n; i++) {
		struct imap_out_piece *p = &from->pieces.p[i];
		buf_add(&to->text, str_sub(buf_str(&from->text), at, p->text_end));
		at = p->text_end;
		imap_out_file(to, TAKE_FD(p->fd), p->offset, p->length);
	}
	buf_add(&to->text, str_skip(buf_str(&from->text), at));
}

/* Whatever is wrong with a URL, it is NIL: the answer does not help those who guess. */
int cmd_urlfetch(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	const struct imap_urls *urls = &s->run.cmd.urls;
	size_t *at = s->run.state;
	if (!at)
		at = s->run.state = arena_new(&s->run.arena, size_t);
	if (!at)
		return fail_set(why, FAIL_LIMIT, NULL, "arena full");
	for (; *at < urls->n; ++*at) {
		size_t i = *at;
		if (imap_out_full(out))
			return RUN_MORE;
		AUTO(imap_out) struct imap_out data = IMAP_OUT_INIT(IMAP_OUT_WINDOW);
		struct fail one = FAIL_INIT;
		int r = s->hooks.url ? s->hooks.url(s->hooks.arg, urls->ask[i].url, &data, &one)
				     : -FAIL_UNSUPPORTED;
		buf_add(&out->text, STR("* URLFETCH "));
		imap_write_astring(&out->text, urls->ask[i].url);
		if (r < 0 || data.text.failed) {
			buf_add(&out->text, STR(" NIL\r\n"));
			continue;
		}
		buf_addc(&out->text, ' ');
		imap_write_literal_head(&out->text, imap_out_size(&data));
		append_out(out, &data);
		buf_add(&out->text, STR("\r\n"));
	}
	return RUN_DONE;
}

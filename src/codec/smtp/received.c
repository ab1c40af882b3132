/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/smtp/received.h"
#include "base/civil.h"

#define FOLD_COLUMN 78

int rfc5322_date_write(struct buf *out, struct wall_us when)
{
	struct civil c;
	civil_from_us(when, &c);
	return buf_addf(out, "%s, %d %s %04d %02d:%02d:%02d +0000", civil_weekday_name(c.weekday),
			c.day, civil_month_name(c.month), (int)c.year, c.hour, c.minute, c.second);
}

/* Writes words, folding before a word that would pass the column. */
struct folder {
	struct buf *out;
	size_t column;
};

static void add_word(struct folder *f, struct str word)
{
	if (f->column > 1 && f->column + 1 + word.n > FOLD_COLUMN - 1) {
		buf_add(f->out, STR("\r\n\t"));
		f->column = 8;
	} else {
		buf_addc(f->out, ' ');
		f->column++;
	}
	buf_add(f->out, word);
	f->column += word.n;
}

/* A new line that continues the field, so that the parts stand under each other. */
static void begin_line(struct folder *f, struct str word)
{
	buf_add(f->out, STR("\r\n\t"));
	buf_add(f->out, word);
	f->column = 8 + word.n;
}

/* Text from a peer inside a comment or as a word: what has a meaning in a header becomes '?'. */
static void add_clean(struct buf *out, struct str s)
{
	for (size_t i = 0; i < MIN(s.n, (size_t)255); i++) {
		unsigned char c = (unsigned char)s.p[i];
		bool plain = c > 0x20 && c < 0x7f && !strchr("()<>\\\",;@", c);
		buf_addc(out, plain ? (char)c : '?');
	}
}

/* (rdns [address]) */
static void add_client(struct folder *f, const struct received *r)
{
	AUTO(buf) struct buf word = BUF_INIT(KIB(1));
	buf_addc(&word, '(');
	if (r->rdns.n)
		add_clean(&word, r->rdns);
	else
		buf_add(&word, STR("unknown"));
	if (r->ip.n) {
		add_word(f, buf_str(&word));
		buf_reset(&word);
		buf_add(&word, str_find(r->ip, 0, ':') < r->ip.n ? STR("[IPv6:") : STR("["));
		add_clean(&word, r->ip);
		buf_addc(&word, ']');
	}
	buf_addc(&word, ')');
	add_word(f, buf_str(&word));
}

static void add_from(struct folder *f, const struct received *r)
{
	AUTO(buf) struct buf helo = BUF_INIT(KIB(1));
	add_clean(&helo, r->helo);
	add_word(f, STR("from"));
	add_word(f, helo.n ? buf_str(&helo) : STR("unknown"));
	add_client(f, r);
}

static void add_tls(struct folder *f, const struct received *r)
{
	AUTO(buf) struct buf last = BUF_INIT(KIB(1));
	begin_line(f, STR("(using"));
	add_clean(&last, r->tls_version);
	if (r->tls_cipher.n) {
		add_word(f, buf_str(&last));
		add_word(f, STR("with"));
		add_word(f, STR("cipher"));
		buf_reset(&last);
		add_clean(&last, r->tls_cipher);
	}
	buf_addc(&last, ')');
	add_word(f, buf_str(&last));
}

/* RFC 3848 and RFC 6531 4.3. HELO allows neither TLS nor AUTH, so it is always plain SMTP. */
static void add_protocol(struct folder *f, const struct received *r)
{
	AUTO(buf) struct buf name = BUF_INIT(64);
	if (r->utf8)
		buf_add_c(&name, r->lmtp ? "UTF8LMTP" : "UTF8SMTP");
	else
		buf_add_c(&name, r->lmtp ? "LMTP" : r->esmtp ? "ESMTP" : "SMTP");
	if (r->esmtp || r->lmtp || r->utf8) {
		if (r->tls_version.n)
			buf_addc(&name, 'S');
		if (r->authenticated)
			buf_addc(&name, 'A');
	}
	add_word(f, STR("with"));
	add_word(f, buf_str(&name));
}

/* (barid, from userid 1000) */
static void add_user(struct folder *f, struct str user)
{
	AUTO(buf) struct buf word = BUF_INIT(128);
	add_word(f, STR("(barid,"));
	add_word(f, STR("from"));
	add_word(f, STR("userid"));
	add_clean(&word, user);
	buf_addc(&word, ')');
	add_word(f, buf_str(&word));
}

int received_write(struct buf *out, const struct received *r)
{
	AUTO(buf) struct buf text = BUF_INIT(KIB(1));
	struct folder f = {out, STR("Received:").n};

	buf_add(out, STR("Received:"));
	bool from = !r->hidden && r->user.n == 0;
	if (from)
		add_from(&f, r);
	if (r->tls_version.n && from)
		add_tls(&f, r);
	if (from)
		begin_line(&f, STR("by"));
	else
		add_word(&f, STR("by"));
	add_word(&f, r->by);
	if (r->user.n)
		add_user(&f, r->user);
	else
		add_protocol(&f, r);
	add_word(&f, STR("id"));
	add_word(&f, r->id);
	if (r->rcpt.n) {
		buf_addf(&text, "<%.*s>;", STR_ARG(r->rcpt));
		begin_line(&f, STR("for"));
		add_word(&f, buf_str(&text));
		buf_reset(&text);
	} else {
		buf_addc(out, ';');
		f.column++;
	}
	rfc5322_date_write(&text, r->when);
	if (f.column + 1 + text.n > FOLD_COLUMN - 1)
		buf_add(out, STR("\r\n\t"));
	else
		buf_addc(out, ' ');
	buf_add(out, buf_str(&text));
	buf_add(out, STR("\r\n"));
	return out->failed ? -FAIL_LIMIT : 0;
}

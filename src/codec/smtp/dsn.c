/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/smtp/dsn.h"
#include "base/civil.h"
#include "base/utf8.h"
#include "codec/mime/word.h"
#include "codec/smtp/dsn_int.h"
#include "codec/smtp/received.h"
#include "codec/smtp/xtext.h"
#include <string.h>

#define FIELD_TEXT_MAX 900

static const struct {
	const char *action; /* RFC 3464 2.3.3 */
	const char *status; /* when the caller knows none */
} kinds[] = {
	[DSN_FAILED] = {"failed", "5.0.0"},	  [DSN_DELAYED] = {"delayed", "4.0.0"},
	[DSN_DELIVERED] = {"delivered", "2.0.0"}, [DSN_RELAYED] = {"relayed", "2.0.0"},
	[DSN_EXPANDED] = {"expanded", "2.0.0"},
};

/* What the writing functions share. */
struct writer {
	struct buf *out;
	const struct dsn *d;
	bool utf8; /* UTF-8 forms of the parts are used (RFC 6533) */
};

/* At most as much as a header line takes (RFC 5322 2.1.1: 998), and no character is halved. */
static struct str fit(struct str s)
{
	size_t n = MIN(s.n, (size_t)FIELD_TEXT_MAX);
	for (unsigned i = 0; i < 3 && n < s.n && ((unsigned char)s.p[n] & 0xc0) == 0x80; i++)
		n--;
	return str_sub(s, 0, n);
}

/* Text of others on one header line: no control characters, not ASCII only where allowed. */
static void add_clean(const struct writer *w, struct str s)
{
	s = fit(s);
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		bool keep = (c >= 0x20 && c < 0x7f) || (c >= 0x80 && w->utf8);
		buf_addc(w->out, keep ? (char)c : c == '\r' || c == '\n' || c == '\t' ? ' ' : '?');
	}
}

static bool is_utf8_text(struct str s)
{
	return !str_is_ascii(s) && utf8_valid(s);
}

/* UTF-8 is used when the sender can read it and there is something to write in it. */
static bool needs_utf8(const struct dsn *d)
{
	bool any = is_utf8_text(d->to) || is_utf8_text(d->header);
	for (size_t i = 0; i < d->rcpt_count; i++) {
		any = any || is_utf8_text(d->rcpts[i].address) || !str_is_ascii(d->rcpts[i].orcpt);
		any = any || is_utf8_text(d->rcpts[i].diagnostic);
	}
	return d->utf8 && any;
}

static void add_date(const struct writer *w, const char *name, struct wall_us when)
{
	if (when.v <= 0)
		return;
	buf_addf(w->out, "%s: ", name);
	rfc5322_date_write(w->out, when);
	buf_add(w->out, STR("\r\n"));
}

static void add_boundary(const struct writer *w, const char *end)
{
	buf_addf(w->out, "\r\n--barid-%.*s%s\r\n", STR_ARG(w->d->unique), end);
}

/* An address in ASCII even where it is not (then as RFC 6533 utf-8-addr-xtext). */
static void add_address(const struct writer *w, struct str address)
{
	if (w->utf8 || str_is_ascii(address))
		add_clean(w, address);
	else
		utf8_addr_encode(w->out, address);
}

static void write_header(const struct writer *w)
{
	const struct dsn *d = w->d;
	bool eight = !str_is_ascii(d->header) || (d->full && !str_is_ascii(d->body));
	AUTO(buf) struct buf subject = BUF_INIT(KIB(2));

	buf_add(w->out, STR("From: Mail Delivery System <MAILER-DAEMON@"));
	add_clean(w, d->reporting_mta);
	buf_add(w->out, STR(">\r\nTo: <"));
	add_address(w, d->to);
	buf_add(w->out, STR(">\r\nSubject: "));
	dsn_subject_write(&subject, d);
	word_encode(w->out, buf_str(&subject), strlen("Subject: "));
	buf_add(w->out, STR("\r\n"));
	if (d->language)
		buf_addf(w->out, "Content-Language: %s\r\n", text_language_name(d->language));
	add_date(w, "Date", d->now);
	buf_addf(w->out, "Message-ID: <%.*s@%.*s>\r\n", STR_ARG(d->unique),
		 STR_ARG(d->reporting_mta));
	buf_add(w->out, STR("Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"));
	buf_addf(w->out,
		 "Content-Type: multipart/report; report-type=%s;\r\n"
		 "\tboundary=\"barid-%.*s\"\r\n",
		 w->utf8 ? "global-delivery-status" : "delivery-status", STR_ARG(d->unique));
	if (eight || w->utf8)
		buf_add(w->out, STR("Content-Transfer-Encoding: 8bit\r\n"));
	buf_add(w->out, STR("\r\nThis is a report in MIME format.\r\n"));
}

/* The part for people: ASCII as it is, anything else as quoted-printable. */
static void write_text_part(const struct writer *w)
{
	AUTO(buf) struct buf text = BUF_INIT(MIB(1));

	dsn_text_write(&text, w->d);
	bool ascii = str_is_ascii(buf_str(&text));
	add_boundary(w, "");
	buf_addf(w->out, "Content-Type: text/plain; charset=%s\r\n%s\r\n",
		 ascii ? "us-ascii" : "utf-8",
		 ascii ? "" : "Content-Transfer-Encoding: quoted-printable\r\n");
	if (ascii)
		buf_add(w->out, buf_str(&text));
	else
		dsn_qp_write(w->out, buf_str(&text));
	if (text.failed)
		w->out->failed = true;
}

/* Original-Recipient (RFC 3464 2.3.1): the type as given, the address decoded. */
static void add_original_recipient(const struct writer *w, struct str orcpt)
{
	size_t semicolon = str_find(orcpt, 0, ';');
	struct str type = str_sub(orcpt, 0, semicolon), address = str_skip(orcpt, semicolon + 1);
	AUTO(buf) struct buf plain = BUF_INIT(KIB(4));
	bool is_utf8 = str_eqi(type, STR("utf-8"));
	int r = is_utf8 ? utf8_addr_decode(&plain, address) : xtext_decode(&plain, address);

	if (semicolon == orcpt.n || r < 0)
		return;
	buf_add(w->out, STR("Original-Recipient: "));
	add_clean(w, type);
	buf_addc(w->out, ';');
	if (is_utf8 && !w->utf8)
		utf8_addr_encode(w->out, buf_str(&plain));
	else
		add_clean(w, buf_str(&plain));
	buf_add(w->out, STR("\r\n"));
}

static void write_rcpt_fields(const struct writer *w, const struct dsn_rcpt *r)
{
	buf_add(w->out, STR("\r\n"));
	if (r->orcpt.n)
		add_original_recipient(w, r->orcpt);
	buf_addf(w->out, "Final-Recipient: %s;", str_is_ascii(r->address) ? "rfc822" : "utf-8");
	add_address(w, r->address);
	buf_addf(w->out, "\r\nAction: %s\r\nStatus: ", kinds[r->action].action);
	add_clean(w, r->status.n ? r->status : str_c(kinds[r->action].status));
	buf_add(w->out, STR("\r\n"));
	if (r->remote_mta.n) {
		buf_add(w->out, STR("Remote-MTA: dns;"));
		add_clean(w, r->remote_mta);
		buf_add(w->out, STR("\r\n"));
	}
	if (r->diagnostic.n) {
		buf_addf(w->out, "Diagnostic-Code: %s;", r->remote_mta.n ? "smtp" : "x-barid");
		add_clean(w, r->diagnostic);
		buf_add(w->out, STR("\r\n"));
	}
	add_date(w, "Last-Attempt-Date", r->last_attempt);
	if (r->action == DSN_DELAYED)
		add_date(w, "Will-Retry-Until", r->will_retry_until);
}

/* RFC 4865: what was asked for. "for;" and "until;" are one here: the moment is kept. */
static void add_release(const struct writer *w, struct wall_us when)
{
	struct civil c;

	if (when.v <= 0)
		return;
	civil_from_us(when, &c);
	buf_addf(w->out, "Future-Release-Request: until;%04d-%02d-%02dT%02d:%02d:%02dZ\r\n",
		 (int)c.year, c.month, c.day, c.hour, c.minute, c.second);
}

static void write_status_part(const struct writer *w)
{
	const struct dsn *d = w->d;
	AUTO(buf) struct buf envid = BUF_INIT(KIB(1));

	add_boundary(w, "");
	buf_addf(w->out, "Content-Type: message/%s\r\n%s\r\n",
		 w->utf8 ? "global-delivery-status" : "delivery-status",
		 w->utf8 ? "Content-Transfer-Encoding: 8bit\r\n" : "");
	if (d->envid.n && xtext_decode(&envid, d->envid) == 0) {
		buf_add(w->out, STR("Original-Envelope-Id: "));
		add_clean(w, buf_str(&envid));
		buf_add(w->out, STR("\r\n"));
	}
	buf_add(w->out, STR("Reporting-MTA: dns;"));
	add_clean(w, d->reporting_mta);
	buf_add(w->out, STR("\r\n"));
	add_date(w, "Arrival-Date", d->arrival);
	add_release(w, d->hold_until);
	for (size_t i = 0; i < d->rcpt_count; i++)
		write_rcpt_fields(w, &d->rcpts[i]);
}

/* The original: whole or its header (RFC 3461 4.3, RFC 6522 section 4, RFC 6533 section 5). */
static void write_original_part(const struct writer *w)
{
	const struct dsn *d = w->d;
	const char *type = d->full ? "message/rfc822" : "text/rfc822-headers";
	bool eight = !str_is_ascii(d->header) || (d->full && !str_is_ascii(d->body));

	if (w->utf8 && !str_is_ascii(d->header))
		type = d->full ? "message/global" : "message/global-headers";
	add_boundary(w, "");
	buf_addf(w->out, "Content-Type: %s\r\n%s\r\n", type,
		 eight ? "Content-Transfer-Encoding: 8bit\r\n" : "");
	buf_add(w->out, d->header);
	if (d->full)
		buf_add(w->out, d->body);
	add_boundary(w, "--");
}

int dsn_write(struct buf *out, const struct dsn *d)
{
	struct writer w = {out, d, needs_utf8(d)};
	write_header(&w);
	write_text_part(&w);
	write_status_part(&w);
	write_original_part(&w);
	return out->failed ? -FAIL_LIMIT : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/smtp/dsn.h"
#include "base/utf8.h"
#include "codec/smtp/received.h"
#include "codec/smtp/xtext.h"

static const struct {
	const char *action;  /* RFC 3464 2.3.3 */
	const char *status;  /* when the caller knows none */
	const char *subject; /* header and first line of the text */
	const char *meaning;
	const char *advice;
} kinds[] = {
	[DSN_FAILED] =
		{"failed", "5.0.0", "Your message could not be delivered",
		 "could not be delivered to the following address",
		 "No further attempt will be made. Please check the address and the reason\r\n"
		 "given above before you send the message again. If you believe that the\r\n"
		 "address is right, ask its owner in another way, or the postmaster of the\r\n"
		 "destination."},
	[DSN_DELAYED] =
		{"delayed", "4.0.0", "Your message is delayed",
		 "has not been delivered yet to the following address",
		 "YOU DO NOT NEED TO SEND THE MESSAGE AGAIN. This server keeps trying, and\r\n"
		 "will tell you if it has to give up."},
	[DSN_DELIVERED] = {"delivered", "2.0.0", "Your message was delivered",
			   "was delivered to the following address",
			   "You asked for this confirmation. It says that the message is in the\r\n"
			   "mailbox, not that anybody has read it."},
	[DSN_RELAYED] =
		{"relayed", "2.0.0", "Your message was passed on",
		 "was passed on for the following address",
		 "The next server does not confirm deliveries, so you will not hear more\r\n"
		 "unless something goes wrong."},
	[DSN_EXPANDED] = {"expanded", "2.0.0", "Your message was passed to a list",
			  "was passed to all members of the following list",
			  "No confirmation is sent for the members."},
};

/* What the writing functions share. */
struct writer {
	struct buf *out;
	const struct dsn *d;
	bool utf8; /* UTF-8 forms of the parts are used (RFC 6533) */
};

/* Text of others on one header line: no control characters, not ASCII only where allowed. */
static void add_clean(const struct writer *w, struct str s)
{
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

/* The worst action of all recipients decides the wording. */
static enum dsn_action worst(const struct dsn *d)
{
	enum dsn_action a = d->rcpts[0].action;
	for (size_t i = 1; i < d->rcpt_count; i++)
		a = MIN(a, d->rcpts[i].action);
	return a;
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

	buf_add(w->out, STR("From: Mail Delivery System <MAILER-DAEMON@"));
	add_clean(w, d->reporting_mta);
	buf_add(w->out, STR(">\r\nTo: <"));
	add_address(w, d->to);
	buf_addf(w->out, ">\r\nSubject: %s\r\n", kinds[worst(d)].subject);
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

/* One recipient in words: which address, why. */
static void explain_rcpt(const struct writer *w, const struct dsn_rcpt *r)
{
	buf_add(w->out, STR("    <"));
	add_address(w, r->address);
	buf_add(w->out, STR(">\r\n"));
	if (!r->diagnostic.n)
		return;
	buf_add(w->out, STR("    "));
	if (r->remote_mta.n) {
		add_clean(w, r->remote_mta);
		buf_add(w->out, STR(" said: "));
	}
	add_clean(w, r->diagnostic);
	buf_add(w->out, STR("\r\n"));
}

static struct wall_us latest_retry(const struct dsn *d)
{
	struct wall_us until = {0};
	for (size_t i = 0; i < d->rcpt_count; i++)
		if (d->rcpts[i].action == DSN_DELAYED && d->rcpts[i].will_retry_until.v > until.v)
			until = d->rcpts[i].will_retry_until;
	return until;
}

static void write_text_part(const struct writer *w)
{
	const struct dsn *d = w->d;

	add_boundary(w, "");
	buf_addf(w->out, "Content-Type: text/plain; charset=%s\r\n%s\r\n",
		 w->utf8 ? "utf-8" : "us-ascii",
		 w->utf8 ? "Content-Transfer-Encoding: 8bit\r\n" : "");
	buf_add(w->out, STR("This is the mail server of "));
	add_clean(w, d->reporting_mta);
	buf_add(w->out, STR(".\r\n"));
	for (size_t kind = 0; kind < ARRAY_LEN(kinds); kind++) {
		size_t count = 0;
		for (size_t i = 0; i < d->rcpt_count; i++)
			count += d->rcpts[i].action == kind;
		if (count == 0)
			continue;
		buf_addf(w->out, "\r\nYour message %s%s:\r\n\r\n", kinds[kind].meaning,
			 count == 1		? ""
			 : kind == DSN_EXPANDED ? "s"
						: "es");
		for (size_t i = 0; i < d->rcpt_count; i++)
			if (d->rcpts[i].action == kind)
				explain_rcpt(w, &d->rcpts[i]);
		buf_addf(w->out, "\r\n%s\r\n", kinds[kind].advice);
	}
	struct wall_us until = latest_retry(d);
	add_date(w, "It tries until", until);
	buf_addf(w->out,
		 "\r\nThe postmaster of this server can help you; please name the id %.*s.\r\n",
		 STR_ARG(d->queue_id));
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

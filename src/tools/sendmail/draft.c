/* SPDX-License-Identifier: Apache-2.0 */
/* The message: its lines, its header, and whom it is for. */
#include "base/text.h"
#include "codec/mime/address.h"
#include "codec/smtp/smtp_addr.h"
#include "tools/sendmail/sendmail.h"

#define RCPTS_MAX 100000u

void draft_clear(struct draft *d)
{
	vec_clear(&d->rcpts.v);
	buf_clear(&d->content);
}

int draft_lines(struct str raw, bool dot_ends, struct buf *ret)
{
	size_t at = 0;
	while (at < raw.n && !ret->failed) {
		size_t end = at;
		while (end < raw.n && raw.p[end] != '\n' && raw.p[end] != '\r')
			end++;
		struct str line = str_sub(raw, at, end);
		if (dot_ends && str_eq(line, STR(".")))
			break;
		for (size_t nul; (nul = str_find(line, 0, '\0')) < line.n;
		     line = str_skip(line, nul + 1))
			buf_add(ret, str_sub(line, 0, nul));
		buf_add(ret, line);
		buf_add(ret, STR("\r\n"));
		at = end +
		     (end + 1 < raw.n && raw.p[end] == '\r' && raw.p[end + 1] == '\n' ? 2 : 1);
	}
	return ret->failed ? -FAIL_LIMIT : 0;
}

/* --- recipients --- */

static bool add_rcpt(struct draft *d, struct str mailbox, struct str host)
{
	struct smtp_addr a;
	struct str text = arena_printf(d->arena, "%.*s@%.*s", STR_ARG(mailbox),
				       STR_ARG(host.n ? host : d->origin));
	if (!text.p || d->rcpts.v.n >= RCPTS_MAX)
		return false;
	if (smtp_mailbox_parse(text, &a) < 0) {
		AUTO(buf) struct buf domain = BUF_INIT(KIB(1));
		if (smtp_domain_normalise(host.n ? host : d->origin, &domain) < 0 ||
		    smtp_addr_make(mailbox, buf_str(&domain), &a) < 0)
			return false;
	}
	for (size_t i = 0; i < d->rcpts.v.n; i++)
		if (str_eq(d->rcpts.v.p[i], smtp_addr_str(&a)))
			return true;
	*(struct str *)vec_push(&d->rcpts.v) = arena_str(d->arena, smtp_addr_str(&a));
	return true;
}

bool draft_add_list(struct draft *d, struct str list)
{
	AUTO(addr_parser) struct addr_parser p;
	struct addr a;
	bool good = true;
	addr_begin(&p, list);
	while (addr_next(&p, &a)) {
		if (a.kind != ADDR_MAILBOX)
			continue;
		/* A name alone is a user of this machine: to the parser it is half an address. */
		struct str mailbox = a.mailbox.n ? a.mailbox : a.name;
		good = mailbox.n && add_rcpt(d, mailbox, a.host) && good;
	}
	return good;
}

/* --- the header --- */

struct field {
	struct str name, value; /* the value with its folds, without the last CRLF */
	struct str whole;
};

/* The next field at the front of *rest. False: the header ends here. */
static bool next_field(struct str *rest, struct field *ret)
{
	size_t colon = str_find(*rest, 0, ':'), end = 0;
	if (colon == 0 || colon == rest->n || str_find(*rest, 0, '\r') < colon)
		return false;
	for (size_t i = 0; i < colon; i++)
		if ((unsigned char)rest->p[i] <= ' ' || (unsigned char)rest->p[i] > '~')
			return false;
	do
		end = str_find(*rest, end, '\n') + 1;
	while (end < rest->n && (rest->p[end] == ' ' || rest->p[end] == '\t'));
	end = MIN(end, rest->n);
	ret->whole = str_sub(*rest, 0, end);
	ret->name = str_sub(*rest, 0, colon);
	ret->value = str_trim(str_sub(*rest, colon + 1, end));
	*rest = str_skip(*rest, end);
	return true;
}

/* mbox programs put a line "From user date" in front. */
static struct str without_from_line(struct str message)
{
	if (!str_starts(message, STR("From ")) && !str_starts(message, STR(">From ")))
		return message;
	return str_skip(message, str_find(message, 0, '\n') + 1);
}

static bool is_one_of(struct str name, const char *a, const char *b, const char *c)
{
	return str_eqi(name, str_c(a)) || str_eqi(name, str_c(b)) || str_eqi(name, str_c(c));
}

struct header {
	bool from;
	bool resent; /* RFC 5322 3.6.6: the recipients are those of the Resent fields */
};

static struct header look_at_header(struct str message)
{
	struct header h = {0};
	struct field f;
	while (next_field(&message, &f)) {
		h.from |= str_eqi(f.name, STR("From"));
		h.resent |= is_one_of(f.name, "Resent-To", "Resent-Cc", "Resent-Bcc");
	}
	return h;
}

static void write_from(struct draft *d, const struct sendmail_options *o, struct str user)
{
	struct str address = d->sender.n ? d->sender
					 : arena_printf(d->arena, "%.*s@%.*s", STR_ARG(user),
							STR_ARG(d->origin));
	if (!o->name.n) {
		buf_addf(&d->content, "From: %.*s\r\n", STR_ARG(address));
		return;
	}
	buf_add(&d->content, STR("From: \""));
	for (size_t i = 0; i < o->name.n; i++) {
		unsigned char c = (unsigned char)o->name.p[i];
		if (c == '"' || c == '\\')
			buf_addc(&d->content, '\\');
		buf_addc(&d->content, c < ' ' || c == 0x7f ? ' ' : (char)c);
	}
	buf_addf(&d->content, "\" <%.*s>\r\n", STR_ARG(address));
}

static bool is_recipient_field(const struct header *h, struct str name)
{
	return h->resent ? is_one_of(name, "Resent-To", "Resent-Cc", "Resent-Bcc")
			 : is_one_of(name, "To", "Cc", "Bcc");
}

static bool copy_header(struct draft *d, const struct sendmail_options *o, const struct header *h,
			struct str *rest)
{
	struct field f;
	bool good = true;
	while (next_field(rest, &f)) {
		if (o->from_header && is_recipient_field(h, f.name))
			good = draft_add_list(d, f.value) && good;
		bool secret = str_eqi(f.name, STR("Bcc")) || str_eqi(f.name, STR("Resent-Bcc"));
		if (!secret || !o->from_header)
			buf_add(&d->content, f.whole);
	}
	return good;
}

static bool set_sender(struct draft *d, const struct sendmail_options *o, struct str user)
{
	struct draft alone = {.arena = d->arena, .origin = d->origin};
	struct str said = o->sender.p ? o->sender : user;
	d->sender = STR("");
	if (o->sender.p && !o->sender.n)
		return true;
	bool good = draft_add_list(&alone, said) && alone.rcpts.v.n == 1;
	if (good)
		d->sender = alone.rcpts.v.p[0];
	draft_clear(&alone);
	return good;
}

int draft_make(struct draft *d, const struct sendmail_options *o, struct str message,
	       struct str user, const char **ret_why)
{
	struct str rest = without_from_line(message);
	struct header h = look_at_header(rest);
	bool good = true;
	if (!set_sender(d, o, user)) {
		*ret_why = T("the sender is no address");
		return EX_USAGE;
	}
	for (size_t i = 0; i < o->rcpts.v.n; i++)
		good = draft_add_list(d, o->rcpts.v.p[i]) && good;
	if (!h.from)
		write_from(d, o, user);
	good = copy_header(d, o, &h, &rest) && good;
	if (!good) {
		*ret_why = T("a recipient is no address");
		return EX_USAGE;
	}
	if (d->rcpts.v.n == 0) {
		*ret_why = T("no recipients");
		return EX_USAGE;
	}
	/* Text without a header begins a body; a header has its empty line. */
	if (!str_starts(rest, STR("\r\n")))
		buf_add(&d->content, STR("\r\n"));
	buf_add(&d->content, rest);
	*ret_why = T("the message is too large");
	return d->content.failed ? EX_DATAERR : 0;
}

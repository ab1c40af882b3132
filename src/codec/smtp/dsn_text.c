/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of a report that people read.
 */
#include "base/civil.h"
#include "base/utf8.h"
#include "codec/mime/date.h"
#include "codec/mime/header.h"
#include "codec/mime/word.h"
#include "codec/smtp/dsn_int.h"
#include <stdarg.h>
#include <stdio.h>

#define COLUMNS	   72
#define INDENT	   4
#define PARAGRAPH  4096 /* bytes of one, at most */
#define QUOTED_MAX 998	/* of the original's subject and date */

struct words {
	struct buf *out;
	const struct dsn *d;
	int zone_min; /* of the original's date: the sender's clock */
};

/* --- what happened --- */

static const struct kind {
	const char *subject_one, *subject_more; /* recipient; and how many more */
	const char *opening;
	const char *advice; /* what is true for all recipients of this kind */
} kinds[] = {
	[DSN_FAILED] = {TX("Your message to {to} was not delivered"),
			TX("Your message to {to} and {more} more was not delivered"),
			TX("Your message could not be delivered to:"),
			TX("We do not try again. You can send the message anew once the reason is "
			   "out of the way.")},
	[DSN_DELAYED] =
		{TX("Your message to {to} is delayed"),
		 TX("Your message to {to} and {more} more is delayed"),
		 TX("Your message has not been delivered yet to:"),
		 TX("You do not need to do anything, and need not send the message again.")},
	[DSN_DELIVERED] = {TX("Your message to {to} was delivered"),
			   TX("Your message to {to} and {more} more was delivered"),
			   TX("Your message was delivered to:"),
			   TX("You asked for this confirmation. It says that the message is in the "
			      "mailbox, not that anybody has read it.")},
	[DSN_RELAYED] =
		{TX("Your message to {to} was passed on"),
		 TX("Your message to {to} and {more} more was passed on"),
		 TX("Your message was passed on to the next server for:"),
		 TX("That server does not confirm deliveries. You will not hear more unless "
		    "something goes wrong.")},
	[DSN_EXPANDED] = {TX("Your message to {to} was passed to a list"),
			  TX("Your message to {to} and {more} more was passed to lists"),
			  TX("Your message was passed to all members of the list:"),
			  TX("No confirmation is sent for the members.")},
};

/*
 * In plain words, by subject and detail of the enhanced status (RFC 3463, 7504, 8689); the first
 * that fits. `failed` and `delayed` say what is wrong, `todo` what the sender of a failed message
 * can do.
 */
static const struct reason {
	const char *status; /* behind the class: "1.1", or "1." for all of a subject */
	const char *failed, *delayed, *todo;
} reasons[] = {
	{"1.1", TX("There is no mailbox with this address."), NULL,
	 TX("Check the spelling of the address, or ask the recipient in another way.")},
	{"1.2", TX("The part of the address behind the @ does not exist, or takes no mail."), NULL,
	 TX("Check the spelling of the part behind the @.")},
	{"1.3", TX("This is not a complete mail address."), NULL,
	 TX("Check the spelling of the address.")},
	{"1.6", TX("The mailbox has moved, and nobody said where to."), NULL,
	 TX("Ask the recipient for the new address.")},
	{"1.10", TX("The part of the address behind the @ takes no mail."), NULL,
	 TX("Check the spelling of the part behind the @.")},
	{"1.", TX("The recipient's server does not accept this address."),
	 TX("The recipient's server does not accept this address at the moment."),
	 TX("Check the spelling of the address, or ask the recipient in another way.")},
	{"2.1", TX("This mailbox is switched off."), TX("This mailbox is switched off for now."),
	 TX("Reach the recipient in another way.")},
	{"2.2", TX("The recipient's mailbox is full."), TX("The recipient's mailbox is full."),
	 TX("Tell the recipient in another way; when there is room again, send the message anew.")},
	{"2.3", TX("The message is too large for this mailbox."), NULL,
	 TX("Send it without its largest attachments, or in several messages.")},
	{"2.4", TX("The mailing list does not work."), NULL, TX("Ask the owner of the list.")},
	{"3.4", TX("The message is too large for the recipient's server."), NULL,
	 TX("Send it without its largest attachments, or in several messages.")},
	{"4.6", TX("The servers send the message to each other in a circle."), NULL,
	 TX("Please tell the postmaster: nothing is wrong with your message.")},
	{"4.7", TX("The recipient's server could not be reached for days."), NULL,
	 TX("Check the part of the address behind the @, or reach the recipient in another way.")},
	{"4.", TX("The recipient's server could not be reached."),
	 TX("The recipient's server cannot be reached at the moment."),
	 TX("Check the part of the address behind the @, or reach the recipient in another way.")},
	{"5.3", TX("The message has more recipients than the server takes at once."),
	 TX("The message has more recipients than the server takes at once."),
	 TX("Send it to fewer recipients at a time.")},
	{"6.7", TX("The recipient's server does not know addresses with letters beyond a to z."),
	 NULL, TX("Ask the recipient for an address in plain letters.")},
	{"6.", TX("The recipient's server cannot take a message of this form."), NULL,
	 TX("Send it as plain text, or without attachments.")},
	{"7.2", TX("You may not write to this list."), NULL,
	 TX("Ask the owner of the list, or become a member of it.")},
	{"7.4", TX("A connection with the encryption that this message needs was not possible."),
	 TX("A connection with the encryption that this message needs is not possible."),
	 TX("Reach the recipient in another way: the message was not sent without protection.")},
	{"7.10", TX("A connection with the encryption that this message needs was not possible."),
	 TX("A connection with the encryption that this message needs is not possible."),
	 TX("Reach the recipient in another way: the message was not sent without protection.")},
	{"7.30", TX("A connection with the encryption that this message needs was not possible."),
	 TX("A connection with the encryption that this message needs is not possible."),
	 TX("Reach the recipient in another way: the message was not sent without protection.")},
	{"7.", TX("The recipient's server refused the message by its rules, for example as spam."),
	 TX("The recipient's server does not take the message at the moment, by its rules."),
	 TX("Reach the recipient in another way and ask that your messages be let through. The "
	    "answer of the server, at the end of this report, may say more.")},
	{"3.", TX("The recipient's server has a fault, or does not take such messages."),
	 TX("The recipient's server has a fault at the moment."),
	 TX("Send the message again later, or reach the recipient in another way.")},
	{"", TX("The recipient's server did not take the message."),
	 TX("The recipient's server does not take the message at the moment."),
	 TX("The answer of the server, at the end of this report, may say why.")},
};

enum dsn_action dsn_worst(const struct dsn *d)
{
	enum dsn_action a = d->rcpts[0].action;
	for (size_t i = 1; i < d->rcpt_count; i++)
		a = MIN(a, d->rcpts[i].action);
	return a;
}

/* "1.1" fits "1.1" alone, "1." all of subject 1, "" everything. */
static bool fits(const char *pattern, struct str detail)
{
	struct str p = str_c(pattern);
	return p.n == 0 || (str_ends(p, STR(".")) ? str_starts(detail, p) : str_eq(detail, p));
}

static const struct reason *find_reason(struct str status)
{
	struct str rest = status, class;
	const struct reason *r = reasons;
	if (!str_cut(&rest, '.', &class))
		rest = STR_NULL;
	while (!fits(r->status, rest))
		r++;
	return r;
}

/* --- writing --- */

static const char *say(const struct words *w, const char *msgid) FORMAT_ARG(2);
static const char *say(const struct words *w, const char *msgid)
{
	return text_in(w->d->language, msgid);
}

/* What others wrote: one line, without control characters, and UTF-8. */
static void add_clean(struct buf *out, struct str s)
{
	bool good = utf8_valid(s);
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		bool keep = (c >= 0x20 && c < 0x7f) || (c >= 0x80 && good);
		buf_addc(out, keep ? (char)c : c == '\r' || c == '\n' || c == '\t' ? ' ' : '?');
	}
}

static size_t columns_of(struct str s)
{
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

static void indent(struct buf *out, size_t n)
{
	while (n--)
		buf_addc(out, ' ');
}

/* One paragraph, filled. A word that is too long for a line has one of its own. */
static void add_filled(struct buf *out, size_t margin, struct str text)
{
	size_t column = 0;
	struct str word;
	while (text.n && str_cut(&text, ' ', &word)) {
		size_t wide = columns_of(word);
		if (!word.n)
			continue;
		if (column && column + 1 + wide > COLUMNS) {
			buf_add(out, STR("\r\n"));
			column = 0;
		}
		if (column == 0)
			indent(out, margin);
		else
			buf_addc(out, ' ');
		buf_add(out, word);
		column = (column ? column + 1 : margin) + wide;
	}
	buf_add(out, STR("\r\n"));
}

/* A formatted paragraph; its arguments are cleaned by who gives them. */
static void add_paragraph(const struct words *w, size_t margin, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
static void add_paragraph(const struct words *w, size_t margin, const char *fmt, ...)
{
	AUTO(buf) struct buf text = BUF_INIT(PARAGRAPH);
	va_list ap;
	va_start(ap, fmt);
	(void)buf_vaddf(&text, fmt, ap);
	va_end(ap);
	add_filled(w->out, margin, buf_str(&text));
}

/* The moment by the sender's clock: "Wednesday, 26 November 2025, 11:00 (UTC+01:00)". */
static void add_moment(const struct words *w, struct wall_us when, struct buf *out)
{
	static const char *const days[] = {TX("Sunday"),    TX("Monday"),   TX("Tuesday"),
					   TX("Wednesday"), TX("Thursday"), TX("Friday"),
					   TX("Saturday")};
	static const char *const months[] = {TX("January"), TX("February"), TX("March"),
					     TX("April"),   TX("May"),	    TX("June"),
					     TX("July"),    TX("August"),   TX("September"),
					     TX("October"), TX("November"), TX("December")};
	struct civil c;
	civil_from_us((struct wall_us){when.v + w->zone_min * 60 * SEC_US}, &c);
	/* TRANSLATORS: weekday, day, month, year, hour, minute; "%2$u" and so on change the order.
	 */
	(void)buf_addf(out, say(w, T_MARK("%s, %u %s %d, %02u:%02u")), say(w, days[c.weekday]),
		       c.day, say(w, months[c.month - 1]), (int)c.year, c.hour, c.minute);
	int away = w->zone_min < 0 ? -w->zone_min : w->zone_min;
	if (away)
		(void)buf_addf(out, " (UTC%c%02d:%02d)", w->zone_min < 0 ? '-' : '+', away / 60,
			       away % 60);
	else
		(void)buf_addf(out, " (UTC)");
}

static void add_size(const struct words *w, uint64_t bytes, struct buf *out)
{
	if (bytes < 1000 * 1000)
		(void)buf_addf(out, say(w, T_MARK("%llu kB")),
			       (unsigned long long)((bytes + 999) / 1000));
	else
		(void)buf_addf(out, say(w, T_MARK("%.1f MB")), (double)bytes / 1e6);
}

/* --- which message --- */

static bool find_field(struct str header, struct str name, struct buf *out)
{
	struct header_field f;
	while (header_next(&header, &f))
		if (str_eqi(f.name, name)) {
			header_unfold(out, str_sub(f.value, 0, QUOTED_MAX));
			return true;
		}
	return false;
}

static void read_zone(struct words *w)
{
	AUTO(buf) struct buf date = BUF_INIT(4 * QUOTED_MAX);
	struct wall_us when;
	int zone = 0;
	if (find_field(w->d->header, STR("Date"), &date) &&
	    date_parse(buf_str(&date), &when, &zone) && zone > -24 * 60 && zone < 24 * 60)
		w->zone_min = zone;
}

static void add_labelled(const struct words *w, const char *label, struct str value)
{
	AUTO(buf) struct buf line = BUF_INIT(PARAGRAPH);
	(void)buf_addf(&line, "%s ", label);
	add_clean(&line, value);
	add_filled(w->out, INDENT, buf_str(&line));
}

static void write_which(const struct words *w)
{
	AUTO(buf) struct buf subject = BUF_INIT(4 * QUOTED_MAX), plain = BUF_INIT(KIB(16));
	AUTO(buf) struct buf when = BUF_INIT(KIB(1));
	add_moment(w, w->d->arrival, &when);
	add_paragraph(w, 0, "%s",
		      say(w, T_MARK("This report is about the message that you sent:")));
	buf_add(w->out, STR("\r\n"));
	if (find_field(w->d->header, STR("Subject"), &subject)) {
		word_decode_known(&plain, buf_str(&subject));
		add_labelled(w, say(w, T_MARK("Subject:")), buf_str(&plain));
	}
	if (w->d->arrival.v > 0)
		add_labelled(w, say(w, T_MARK("Sent:")), buf_str(&when));
}

/* --- the recipients --- */

static void write_sizes(const struct words *w, const struct dsn_rcpt *r)
{
	AUTO(buf) struct buf size = BUF_INIT(100), most = BUF_INIT(100);
	if (!w->d->size)
		return;
	add_size(w, w->d->size, &size);
	add_size(w, r->size_max, &most);
	if (r->size_max)
		add_paragraph(w, INDENT,
			      say(w, T_MARK("Your message has %s; at most %s are taken there.")),
			      buf_c(&size), buf_c(&most));
	else
		add_paragraph(w, INDENT, say(w, T_MARK("Your message has %s.")), buf_c(&size));
}

static void write_reason(const struct words *w, const struct dsn_rcpt *r)
{
	const struct reason *reason = find_reason(r->status);
	const char *told = r->action == DSN_FAILED ? reason->failed : reason->delayed;
	if (r->action != DSN_FAILED && r->action != DSN_DELAYED)
		return;
	if (!told) /* nobody expects this status of something that is tried again */
		told = reasons[ARRAY_LEN(reasons) - 1].delayed;
	add_paragraph(w, INDENT, "%s", say(w, told));
	if (r->action == DSN_FAILED) {
		if (str_ends(r->status, STR(".3.4")) || str_ends(r->status, STR(".2.3")))
			write_sizes(w, r);
		add_paragraph(w, INDENT, "%s", say(w, reason->todo));
	} else if (r->will_retry_until.v > 0) {
		AUTO(buf) struct buf when = BUF_INIT(KIB(1));
		add_moment(w, r->will_retry_until, &when);
		add_paragraph(w, INDENT, say(w, T_MARK("We keep trying until %s.")), buf_c(&when));
	}
}

static void write_kind(const struct words *w, enum dsn_action action)
{
	const struct dsn *d = w->d;
	bool any = false;
	for (size_t i = 0; i < d->rcpt_count; i++) {
		if (d->rcpts[i].action != action)
			continue;
		if (!any)
			add_paragraph(w, 0, "%s", say(w, kinds[action].opening));
		any = true;
		buf_add(w->out, STR("\r\n  "));
		add_clean(w->out, d->rcpts[i].address);
		buf_add(w->out, STR("\r\n"));
		write_reason(w, &d->rcpts[i]);
	}
	if (!any)
		return;
	buf_add(w->out, STR("\r\n"));
	add_paragraph(w, 0, "%s", say(w, kinds[action].advice));
	buf_add(w->out, STR("\r\n"));
}

/* --- the end --- */

static void write_whom_to_ask(const struct words *w)
{
	AUTO(buf) struct buf host = BUF_INIT(KIB(1)), number = BUF_INIT(KIB(1));
	add_clean(&host, w->d->postmaster_domain.n ? w->d->postmaster_domain : w->d->reporting_mta);
	add_clean(&number, w->d->queue_id);
	buf_add(w->out, STR("\r\n"));
	add_paragraph(w, 0,
		      say(w, T_MARK("If you need help, write to postmaster@%s and name the number "
				    "%s.")),
		      buf_c(&host), buf_c(&number));
}

static void write_technical(const struct words *w)
{
	const char *heading = say(w, T_MARK("Technical details"));
	buf_addf(w->out, "\r\n%s\r\n", heading);
	for (size_t i = columns_of(str_c(heading)); i; i--)
		buf_addc(w->out, '-');
	buf_add(w->out, STR("\r\n"));
	for (size_t i = 0; i < w->d->rcpt_count; i++) {
		const struct dsn_rcpt *r = &w->d->rcpts[i];
		AUTO(buf) struct buf line = BUF_INIT(PARAGRAPH);
		if (!r->status.n && !r->diagnostic.n)
			continue;
		add_clean(&line, r->address);
		buf_addc(&line, ':');
		if (r->status.n) {
			buf_addc(&line, ' ');
			add_clean(&line, r->status);
		}
		if (r->diagnostic.n && r->remote_mta.n) {
			AUTO(buf) struct buf host = BUF_INIT(KIB(1));
			add_clean(&host, r->remote_mta);
			buf_addc(&line, ' ');
			(void)buf_addf(&line, say(w, T_MARK("%s answered:")), buf_c(&host));
		}
		if (r->diagnostic.n) {
			buf_addc(&line, ' ');
			add_clean(&line, str_sub(r->diagnostic, 0, KIB(2)));
		}
		add_filled(w->out, 0, buf_str(&line));
	}
}

void dsn_text_write(struct buf *out, const struct dsn *d)
{
	struct words w = {out, d, 0};
	read_zone(&w);
	for (size_t action = 0; action < ARRAY_LEN(kinds); action++)
		write_kind(&w, (enum dsn_action)action);
	write_which(&w);
	write_whom_to_ask(&w);
	write_technical(&w);
}

/* With {to} and {more} filled in. */
static void add_sentence(struct buf *out, const char *sentence, struct str to, size_t more)
{
	struct str rest = str_c(sentence);
	while (rest.n) {
		size_t open = str_find(rest, 0, '{'), close = str_find(rest, open, '}');
		struct str name = str_sub(rest, open, close);
		buf_add(out, str_sub(rest, 0, open));
		if (str_eq(name, STR("{to")))
			buf_add(out, to);
		else if (str_eq(name, STR("{more")))
			(void)buf_addf(out, "%zu", more);
		rest = str_skip(rest, close + 1);
	}
}

void dsn_subject_write(struct buf *out, const struct dsn *d)
{
	enum dsn_action action = dsn_worst(d);
	AUTO(buf) struct buf address = BUF_INIT(KIB(1));
	size_t same = 0, first = d->rcpt_count;
	for (size_t i = d->rcpt_count; i-- > 0;)
		if (d->rcpts[i].action == action) {
			first = i;
			same++;
		}
	add_clean(&address, d->rcpts[first].address);
	add_sentence(out,
		     text_in(d->language,
			     same == 1 ? kinds[action].subject_one : kinds[action].subject_more),
		     buf_str(&address), same - 1);
}

/* --- transfer encoding --- */

void dsn_qp_write(struct buf *out, struct str text)
{
	size_t column = 0;
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];
		bool ends = i + 1 == text.n || text.p[i + 1] == '\r';
		if (c == '\r' && i + 1 < text.n && text.p[i + 1] == '\n') {
			buf_add(out, STR("\r\n"));
			column = 0;
			i++;
			continue;
		}
		bool plain = (c > ' ' && c < 0x7f && c != '=') || (c == ' ' && !ends);
		size_t wide = plain ? 1 : 3;
		if (column + wide > 75) {
			buf_add(out, STR("=\r\n"));
			column = 0;
		}
		if (plain)
			buf_addc(out, (char)c);
		else
			buf_addf(out, "=%02X", c);
		column += wide;
	}
}

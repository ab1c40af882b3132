/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/smtp/smtp_addr.h"
#include "base/utf8.h"
#include "codec/smtp/idn.h"
#include <arpa/inet.h>

/* A cursor over one path; `at` never exceeds s.n. */
struct reader {
	struct str s;
	size_t at;
};

static int peek(const struct reader *r)
{
	return r->at < r->s.n ? (unsigned char)r->s.p[r->at] : -1;
}

static bool skip(struct reader *r, char c)
{
	if (peek(r) != (unsigned char)c)
		return false;
	r->at++;
	return true;
}

/* RFC 5322 atext and RFC 6531 UTF8-non-ascii; the UTF-8 itself is checked over the whole. */
static bool is_atext(int c)
{
	return c >= 0x80 || ascii_alpha((char)c) || ascii_digit((char)c) ||
	       (c > 0 && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool is_dot_string(struct str s)
{
	bool after_dot = true;
	for (size_t i = 0; i < s.n; i++) {
		bool dot = s.p[i] == '.';
		if (dot ? after_dot : !is_atext((unsigned char)s.p[i]))
			return false;
		after_dot = dot;
	}
	return !after_dot;
}

/* Local-part: its content without quoting is appended to `plain`. */
static int read_local(struct reader *r, struct buf *plain)
{
	if (!skip(r, '"')) {
		size_t from = r->at;
		while (is_atext(peek(r)) || peek(r) == '.')
			r->at++;
		struct str local = str_sub(r->s, from, r->at);
		return is_dot_string(local) ? buf_add(plain, local) : -FAIL_SYNTAX;
	}
	while (!skip(r, '"')) {
		bool escaped = skip(r, '\\');
		int c = peek(r);
		if (c < 0x20 || c == 0x7f || (escaped && c >= 0x80))
			return -FAIL_SYNTAX;
		buf_addc(plain, (char)c);
		r->at++;
	}
	return 0;
}

/* Letters, digits and inner hyphens in labels of 1 to 63; RFC 5321 sub-domain, RFC 1035 2.3.4. */
static int check_ascii_name(struct str name)
{
	struct str rest = name, label;
	if (name.n > SMTP_DOMAIN_MAX)
		return -FAIL_TOOBIG;
	while (str_cut(&rest, '.', &label)) {
		if (label.n == 0 || label.p[0] == '-' || label.p[label.n - 1] == '-')
			return -FAIL_SYNTAX;
		for (size_t i = 0; i < label.n; i++) {
			char c = label.p[i];
			if (!ascii_alpha(c) && !ascii_digit(c) && c != '-')
				return -FAIL_SYNTAX;
		}
		if (label.n > 63)
			return -FAIL_TOOBIG;
	}
	return name.n ? 0 : -FAIL_SYNTAX;
}

int smtp_domain_normalise(struct str name, struct buf *out)
{
	AUTO(buf) struct buf ascii = BUF_INIT(KIB(1));
	if (!str_is_ascii(name)) {
		int r = utf8_valid(name) ? idn_to_ascii(name, &ascii) : -FAIL_SYNTAX;
		if (r < 0)
			return r;
		name = buf_str(&ascii);
	}
	int r = check_ascii_name(name);
	if (r < 0)
		return r;
	char lower[SMTP_DOMAIN_MAX];
	for (size_t i = 0; i < name.n; i++)
		lower[i] = ascii_lower(name.p[i]);
	return buf_add(out, str_make(lower, name.n));
}

/* Address literal without its brackets, appended with them. */
static int normalise_literal(struct str inside, struct buf *out)
{
	unsigned char address[16];
	char text[INET6_ADDRSTRLEN];
	bool v6 = str_startsi(inside, STR("IPv6:"));
	int family = v6 ? AF_INET6 : AF_INET;

	if (v6)
		inside = str_skip(inside, 5);
	if (inside.n >= sizeof text)
		return -FAIL_SYNTAX;
	memcpy(text, inside.p, inside.n);
	text[inside.n] = '\0';
	if (inet_pton(family, text, address) != 1 || !inet_ntop(family, address, text, sizeof text))
		return -FAIL_SYNTAX;
	return buf_addf(out, v6 ? "[IPv6:%s]" : "[%s]", text);
}

/* Domain or literal up to '>', SP, ',' or ':' or the end, as it stands. */
static struct str read_domain(struct reader *r)
{
	size_t from = r->at;
	if (skip(r, '[')) {
		while (peek(r) >= 0 && !skip(r, ']'))
			r->at++;
		return str_sub(r->s, from, r->at);
	}
	while (peek(r) > ' ' && !strchr(">,:", peek(r)))
		r->at++;
	return str_sub(r->s, from, r->at);
}

static int normalise_domain(struct str raw, struct buf *out)
{
	if (raw.n == 0)
		return -FAIL_SYNTAX;
	if (raw.p[0] != '[')
		return smtp_domain_normalise(raw, out);
	if (raw.p[raw.n - 1] != ']')
		return -FAIL_SYNTAX;
	return normalise_literal(str_sub(raw, 1, raw.n - 1), out);
}

/* A-d-l ":" of RFC 5321 4.1.2; its hosts are ignored, so they are only skipped. */
static int skip_route(struct reader *r)
{
	while (skip(r, '@')) {
		if (read_domain(r).n == 0)
			return -FAIL_SYNTAX;
		if (skip(r, ':'))
			return 0;
		if (!skip(r, ','))
			return -FAIL_SYNTAX;
	}
	return -FAIL_SYNTAX;
}

/* codec/srs knows more of it. */
static bool is_rewritten(struct str plain)
{
	return plain.n > 5 && str_startsi(plain, STR("SRS")) &&
	       (plain.p[3] == '0' || plain.p[3] == '1') && strchr("=+-", plain.p[4]);
}

int smtp_addr_make(struct str plain, struct str domain, struct smtp_addr *ret)
{
	struct smtp_addr a = {0};
	AUTO(buf) struct buf text = BUF_INIT(KIB(2));

	if (!utf8_valid(plain))
		return -FAIL_SYNTAX;
	if (is_dot_string(plain)) {
		buf_add(&text, plain);
	} else {
		buf_addc(&text, '"');
		for (size_t i = 0; i < plain.n; i++) {
			unsigned char c = (unsigned char)plain.p[i];
			if (c < 0x20 || c == 0x7f)
				return -FAIL_SYNTAX;
			if (c == '"' || c == '\\')
				buf_addc(&text, '\\');
			buf_addc(&text, (char)c);
		}
		buf_addc(&text, '"');
	}
	if (plain.n == 0)
		return -FAIL_SYNTAX;
	if (text.failed || text.n > (is_rewritten(plain) ? SMTP_ADDR_MAX : SMTP_LOCAL_MAX))
		return -FAIL_TOOBIG;
	a.local_n = (uint16_t)text.n;
	if (domain.n) {
		buf_addc(&text, '@');
		buf_add(&text, domain);
	}
	if (text.failed || text.n > SMTP_ADDR_MAX)
		return -FAIL_TOOBIG;
	a.n = (uint16_t)text.n;
	memcpy(a.text, text.p, text.n);
	a.utf8 = !str_is_ascii(buf_str(&text));
	*ret = a;
	return 0;
}

/* [route] local@domain, up to the first octet that cannot belong to it. */
static int read_mailbox(struct reader *r, unsigned flags, struct smtp_addr *ret)
{
	AUTO(buf) struct buf local = BUF_INIT(KIB(4));
	AUTO(buf) struct buf domain = BUF_INIT(KIB(1));
	size_t from = r->at;
	bool bracket = from > 0;

	if (peek(r) == '@' && skip_route(r) < 0)
		return -FAIL_SYNTAX;
	bool quoted = peek(r) == '"';
	int rc = read_local(r, &local);
	if (rc < 0)
		return rc == -FAIL_LIMIT ? -FAIL_TOOBIG : rc;
	if (!skip(r, '@')) {
		if (bracket ? peek(r) != '>' : peek(r) >= 0 && peek(r) != ' ')
			return -FAIL_SYNTAX;
		if (!(flags & SMTP_PATH_POSTMASTER) || !str_eqi(buf_str(&local), STR("postmaster")))
			return -FAIL_NOTFOUND;
		return smtp_addr_make(buf_str(&local), STR_NULL, ret);
	}
	struct str raw = read_domain(r);
	struct str plain = buf_str(&local);
	/* 'a@b': no domain ends in a quote, so this cannot have been meant. */
	if (!quoted && plain.n > 1 && plain.p[0] == '\'' && str_ends(raw, STR("'"))) {
		plain = str_skip(plain, 1);
		raw = str_sub(raw, 0, raw.n - 1);
	}
	rc = normalise_domain(raw, &domain);
	if (rc == 0 && !utf8_valid(plain))
		rc = -FAIL_SYNTAX;
	if (rc == 0)
		rc = smtp_addr_make(plain, buf_str(&domain), ret);
	if (rc == 0)
		ret->utf8 = !str_is_ascii(str_sub(r->s, from, r->at));
	return rc;
}

int smtp_path_parse(struct str s, unsigned flags, struct smtp_addr *ret, size_t *ret_used)
{
	struct reader r = {s, 0};
	struct smtp_addr a = {0};
	bool bracket = skip(&r, '<');

	if (!(bracket && (flags & SMTP_PATH_NULL) && peek(&r) == '>')) {
		int rc = read_mailbox(&r, flags, &a);
		if (rc < 0)
			return rc;
	}
	if (bracket && !skip(&r, '>'))
		return -FAIL_SYNTAX;
	if (peek(&r) >= 0 && peek(&r) != ' ')
		return -FAIL_SYNTAX;
	*ret = a;
	*ret_used = r.at;
	return 0;
}

int smtp_mailbox_parse(struct str s, struct smtp_addr *ret)
{
	struct reader r = {s, 0};
	struct smtp_addr a;
	int rc = read_mailbox(&r, 0, &a);
	if (rc < 0)
		return rc;
	if (r.at != s.n)
		return -FAIL_SYNTAX;
	*ret = a;
	return 0;
}

int smtp_addr_plain_local(const struct smtp_addr *a, struct buf *out)
{
	struct str local = smtp_addr_local(a);
	if (local.n < 2 || local.p[0] != '"')
		return buf_add(out, local);
	for (size_t i = 1; i + 1 < local.n; i++) {
		if (local.p[i] == '\\')
			i++;
		buf_addc(out, local.p[i]);
	}
	return out->failed ? -FAIL_LIMIT : 0;
}

bool smtp_domain_is_full(struct str domain)
{
	size_t dot = str_find(domain, 0, '.');
	return str_starts(domain, STR("[")) || (dot > 0 && dot + 1 < domain.n);
}

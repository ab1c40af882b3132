/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/imap/imap_url.h"
#include "base/civil.h"
#include "base/num.h"
#include "base/utf8.h"

static int wrong(struct fail *why)
{
	return fail_set(why, FAIL_SYNTAX, "The URL is not one of a message.", "bad URL");
}

static int hex_value(char c)
{
	if (ascii_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-encoding off. False: broken, or it hides a control character. */
static bool decode(struct str in, struct arena *arena, struct str *ret)
{
	char *p = arena_alloc(arena, in.n + 1);
	size_t n = 0;
	if (!p)
		return false;
	for (size_t i = 0; i < in.n; i++) {
		char c = in.p[i];
		if (c == '%') {
			int high = i + 2 < in.n ? hex_value(in.p[i + 1]) : -1;
			int low = i + 2 < in.n ? hex_value(in.p[i + 2]) : -1;
			if (high < 0 || low < 0)
				return false;
			c = (char)(high * 16 + low);
			i += 2;
		}
		if ((unsigned char)c < 0x20 || c == 0x7f)
			return false;
		p[n++] = c;
	}
	*ret = str_make(p, n);
	return utf8_valid(*ret);
}

/* The first place of `what`, in any case; text.n when there is none. */
static size_t find(struct str text, struct str what)
{
	for (size_t i = 0; i + what.n <= text.n; i++)
		if (str_eqi(str_sub(text, i, i + what.n), what))
			return i;
	return text.n;
}

static bool cut_prefix(struct str *s, struct str what)
{
	if (s->n < what.n || !str_eqi(str_sub(*s, 0, what.n), what))
		return false;
	*s = str_skip(*s, what.n);
	return true;
}

static bool parse_number(struct str s, uint32_t *ret)
{
	uint64_t n;
	if (!num_parse_u64(s, &n) || n == 0 || n > UINT32_MAX)
		return false;
	*ret = (uint32_t)n;
	return true;
}

/* access [":" mechanism ":" token]; *ret_used is where the access identifier ends. */
static bool parse_access(struct str s, bool signed_, struct arena *arena, struct imap_url *u,
			 size_t *ret_used)
{
	size_t end = str_find(s, 0, ':');
	struct str access = str_sub(s, 0, end), rest = str_skip(s, end);
	*ret_used = end;
	if (str_eqi(access, STR("anonymous")))
		u->access = IMAP_URL_ANYBODY;
	else if (str_eqi(access, STR("authuser")))
		u->access = IMAP_URL_AUTHUSER;
	else if (cut_prefix(&access, STR("submit+")))
		u->access = IMAP_URL_SUBMIT;
	else if (cut_prefix(&access, STR("user+")))
		u->access = IMAP_URL_USER;
	else
		return false;
	if (u->access <= IMAP_URL_USER && (!decode(access, arena, &u->for_user) || !u->for_user.n))
		return false;
	if (!signed_)
		return rest.n == 0;
	if (rest.n == 0)
		return false;
	rest = str_skip(rest, 1);
	size_t colon = str_find(rest, 0, ':');
	u->mechanism = str_sub(rest, 0, colon);
	u->token = str_skip(rest, colon + 1);
	bool ok =
		imap_is_atom(u->mechanism) && u->token.n >= 32 && u->token.n <= IMAP_URL_TOKEN_MAX;
	for (size_t i = 0; ok && i < u->token.n; i++)
		ok = hex_value(u->token.p[i]) >= 0;
	return ok;
}

static bool parse_partial(struct str s, struct imap_url *u)
{
	struct str rest = s, first;
	bool has_count = str_find(s, 0, '.') < s.n;
	if (has_count)
		(void)str_cut(&rest, '.', &first);
	else
		first = s;
	u->partial = true;
	u->count = UINT64_MAX;
	if (!num_parse_u64(first, &u->offset))
		return false;
	return !has_count || (num_parse_u64(rest, &u->count) && u->count > 0);
}

/* Behind the mailbox: ";UID=n", then what else is there, each behind a slash. */
static bool parse_place(struct str s, struct arena *arena, struct imap_url *u, struct fail *why)
{
	struct str word, text;
	bool more = str_find(s, 0, '/') < s.n;
	if (more)
		(void)str_cut(&s, '/', &word);
	else
		word = s;
	if (!cut_prefix(&word, STR(";UID=")) || !parse_number(word, &u->uid))
		return false;
	if (!more)
		return true;
	if (cut_prefix(&s, STR(";SECTION="))) {
		size_t end = find(s, STR("/;PARTIAL="));
		if (!decode(str_sub(s, 0, end), arena, &text) || text.n == 0 ||
		    imap_section_parse(text, arena, &u->section, why) < 0)
			return false;
		s = str_skip(s, end);
		if (s.n == 0)
			return true;
		s = str_skip(s, 1);
	}
	return cut_prefix(&s, STR(";PARTIAL=")) && parse_partial(s, u);
}

static bool parse_mailbox(struct str s, struct arena *arena, struct imap_url *u)
{
	size_t at = find(s, STR(";UIDVALIDITY="));
	if (at < s.n && !parse_number(str_skip(s, at + STR(";UIDVALIDITY=").n), &u->uidvalidity))
		return false;
	return decode(str_sub(s, 0, at), arena, &u->mailbox) && u->mailbox.n > 0;
}

/* user [";AUTH=" mechanism] "@" host */
static bool parse_server(struct str s, struct arena *arena, struct imap_url *u)
{
	size_t at = str_find(s, 0, '@');
	struct str user = str_sub(s, 0, at);
	u->host = str_skip(s, at + 1);
	return decode(str_sub(user, 0, find(user, STR(";AUTH="))), arena, &u->user) &&
	       u->user.n > 0 && u->host.n > 0;
}

int imap_url_parse(struct str text, bool signed_, struct arena *arena, struct imap_url *ret,
		   struct fail *why)
{
	struct imap_url u = {0};
	struct str s = text;
	size_t used = 0;
	if (text.n > IMAP_URL_MAX)
		return fail_set(why, FAIL_LIMIT, "The URL is too long.", "%zu octets", text.n);
	if (!cut_prefix(&s, STR("imap://")))
		return wrong(why);
	size_t auth = find(s, STR(";URLAUTH="));
	if (auth == s.n ||
	    !parse_access(str_skip(s, auth + STR(";URLAUTH=").n), signed_, arena, &u, &used))
		return wrong(why);
	u.rump = str_sub(text, 0, text.n - s.n + auth + STR(";URLAUTH=").n + used);
	s = str_sub(s, 0, auth);
	size_t expire = find(s, STR(";EXPIRE="));
	if (expire < s.n) {
		u.expires = true;
		if (!us_from_rfc3339(str_skip(s, expire + STR(";EXPIRE=").n), &u.expire))
			return wrong(why);
		s = str_sub(s, 0, expire);
	}
	size_t slash = str_find(s, 0, '/'), place = find(s, STR("/;UID="));
	if (place >= s.n || slash >= place || !parse_server(str_sub(s, 0, slash), arena, &u) ||
	    !parse_mailbox(str_sub(s, slash + 1, place), arena, &u) ||
	    !parse_place(str_skip(s, place + 1), arena, &u, why))
		return wrong(why);
	*ret = u;
	return 0;
}

int imap_url_parse_relative(struct str text, struct arena *arena, struct imap_url *ret,
			    struct fail *why)
{
	struct imap_url u = {0};
	struct str s = text;
	if (text.n > IMAP_URL_MAX)
		return fail_set(why, FAIL_LIMIT, "The URL is too long.", "%zu octets", text.n);
	if (cut_prefix(&s, STR("/"))) {
		size_t place = find(s, STR("/;UID="));
		/* "//" begins the name of a server */
		if (place == s.n || str_starts(s, STR("/")) ||
		    !parse_mailbox(str_sub(s, 0, place), arena, &u))
			return wrong(why);
		s = str_skip(s, place + 1);
	}
	if (!parse_place(s, arena, &u, why))
		return wrong(why);
	*ret = u;
	return 0;
}

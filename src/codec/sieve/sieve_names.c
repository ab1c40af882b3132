/* SPDX-License-Identifier: Apache-2.0 */
/* Names, addresses and moments, as scripts write them. */
#include "base/civil.h"
#include "base/num.h"
#include "base/utf8.h"
#include "codec/mime/address.h"
#include "codec/mime/date.h"
#include "codec/sieve/sieve_date.h"
#include "codec/sieve/sieve_int.h"
#include "codec/sieve/sieve_variable.h"

bool sieve_is_identifier(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_alpha(s.p[i]) && s.p[i] != '_' && (i == 0 || !ascii_digit(s.p[i])))
			return false;
	return s.n > 0 && s.n <= 64;
}

bool sieve_is_field_name(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] >= 127 || s.p[i] == ':')
			return false;
	return s.n > 0;
}

bool sieve_is_field_text(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		bool fold = i + 1 < s.n && (s.p[i + 1] == ' ' || s.p[i + 1] == '\t');
		if (s.p[i] == '\r' && i + 1 < s.n && s.p[i + 1] == '\n')
			continue;
		if (s.p[i] == '\n' && (fold || i + 1 == s.n))
			continue;
		if (((unsigned char)s.p[i] < ' ' && s.p[i] != '\t') || s.p[i] == 127)
			return false;
	}
	return s.n <= 2048 && utf8_valid(s);
}

bool sieve_is_flag(struct str s)
{
	static const char *const system[] = {"\\answered", "\\flagged", "\\deleted", "\\seen",
					     "\\draft"};
	for (size_t i = 0; i < ARRAY_LEN(system); i++)
		if (str_eqi(s, str_c(system[i])))
			return true;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] >= 127 || strchr("(){%*\"\\]", s.p[i]))
			return false;
	return s.n > 0 && s.n <= 100;
}

bool sieve_zone(struct str s, int *ret_min)
{
	uint64_t v;
	if (s.n != 5 || (s.p[0] != '+' && s.p[0] != '-') || !num_parse_u64(str_skip(s, 1), &v) ||
	    v % 100 > 59 || v > 2400)
		return false;
	int min = (int)(v / 100 * 60 + v % 100);
	*ret_min = s.p[0] == '-' ? -min : min;
	return true;
}

bool sieve_is_constant(const struct sieve_compiler *c, struct str s)
{
	struct sieve_reference r;
	return !sieve_has(c, X_VARIABLES) || !sieve_reference_next(s, 0, &r);
}

static size_t identifier_end(struct str s, size_t at)
{
	size_t i = at;
	while (i < s.n && (ascii_alpha(s.p[i]) || s.p[i] == '_' || (i > at && ascii_digit(s.p[i]))))
		i++;
	return i;
}

/* The inside of "${" and "}" at @at. */
static bool take_reference(struct str s, size_t at, struct sieve_reference *ret)
{
	struct sieve_reference r = {.from = at, .ns = STR("")};
	size_t i = at + 2, from = i;
	while (i < s.n && ascii_digit(s.p[i]))
		i++;
	if (i > from) {
		r.number = true;
		r.name = str_sub(s, from, i);
		if (!num_parse_u32(r.name, &r.index))
			r.index = UINT32_MAX;
	} else {
		size_t name = from, end = identifier_end(s, from);
		while (end > name && end < s.n && s.p[end] == '.') {
			r.ns = str_sub(s, from, end);
			name = end + 1;
			end = identifier_end(s, name);
		}
		if (end == name)
			return false;
		r.name = str_sub(s, name, end);
		i = end;
	}
	if (i >= s.n || s.p[i] != '}')
		return false;
	r.to = i + 1;
	*ret = r;
	return true;
}

bool sieve_reference_next(struct str s, size_t at, struct sieve_reference *ret)
{
	for (size_t i = str_find(s, at, '$'); i + 1 < s.n; i = str_find(s, i + 1, '$'))
		if (s.p[i + 1] == '{' && take_reference(s, i, ret))
			return true;
	return false;
}

struct str sieve_address_write(struct arena *arena, struct str local, struct str domain)
{
	bool atoms = local.n > 0 && local.p[0] != '.' && local.p[local.n - 1] != '.';
	AUTO(buf) struct buf b = BUF_INIT(local.n * 2 + 1);
	for (size_t i = 0; i < local.n; i++) {
		atoms = atoms &&
			(lex_is_atext(local.p[i]) || (local.p[i] == '.' && local.p[i - 1] != '.'));
		if (local.p[i] == '"' || local.p[i] == '\\')
			(void)buf_addc(&b, '\\');
		(void)buf_addc(&b, local.p[i]);
	}
	return atoms ? arena_printf(arena, "%.*s@%.*s", STR_ARG(local), STR_ARG(domain))
		     : arena_printf(arena, "\"%.*s\"@%.*s", STR_ARG(buf_str(&b)), STR_ARG(domain));
}

bool sieve_address(struct arena *arena, struct str s, struct str *ret_local, struct str *ret_domain)
{
	AUTO(addr_parser) struct addr_parser p;
	struct addr a;
	struct str local = STR_NULL, domain = STR_NULL;
	bool ok = s.n > 0 && s.n <= ADDR_TEXT_MAX && utf8_valid(s);
	for (size_t i = 0; i < s.n; i++)
		ok = ok && (unsigned char)s.p[i] >= ' ' && s.p[i] != 127;
	unsigned n = 0;
	addr_begin(&p, s);
	while (ok && addr_next(&p, &a)) {
		ok = a.kind == ADDR_MAILBOX && !a.broken && a.mailbox.n && a.host.n && ++n == 1;
		if (!ok)
			break;
		local = arena_str(arena, a.mailbox);
		domain = arena_str(arena, a.host);
	}
	if (!ok || n != 1 || !local.p || !domain.p || str_find(domain, 0, ' ') < domain.n)
		return false;
	*ret_local = local;
	*ret_domain = domain;
	return true;
}

/* %xx of a URI. */
static struct str percent_decode(struct arena *arena, struct str s)
{
	char *to = arena_alloc(arena, s.n + 1);
	size_t n = 0;
	uint64_t v;
	if (!to)
		return STR_NULL;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '%' && i + 2 < s.n &&
		    num_parse_hex_u64(str_sub(s, i + 1, i + 3), &v)) {
			to[n++] = (char)(unsigned char)v;
			i += 2;
		} else {
			to[n++] = s.p[i];
		}
	}
	return str_make(to, n);
}

struct str sieve_mailto_field(struct arena *arena, struct str uri, struct str name)
{
	struct str rest = str_skip(uri, str_find(uri, 0, '?')), pair;
	rest = str_skip(rest, 1);
	while (rest.n && str_cut(&rest, '&', &pair)) {
		size_t eq = str_find(pair, 0, '=');
		struct str key = percent_decode(arena, str_sub(pair, 0, eq));
		if (str_eqi(key, name))
			return percent_decode(arena, str_skip(pair, eq + 1));
	}
	return STR_NULL;
}

/* The headers of a URI are such, and who else is written to has an address. */
static bool fields_ok(struct arena *arena, struct str uri)
{
	struct str rest = str_skip(uri, str_find(uri, 0, '?') + 1), pair, local, domain, one;
	while (rest.n && str_cut(&rest, '&', &pair)) {
		size_t eq = str_find(pair, 0, '=');
		struct str key = percent_decode(arena, str_sub(pair, 0, eq));
		struct str value = percent_decode(arena, str_skip(pair, eq + 1));
		if (!sieve_is_field_name(key))
			return false;
		bool address = str_eqi(key, STR("to")) || str_eqi(key, STR("cc"));
		while (address && str_cut(&value, ',', &one))
			if (!sieve_address(arena, one, &local, &domain))
				return false;
	}
	return true;
}

bool sieve_mailto(struct arena *arena, struct str uri, struct str *ret_to)
{
	struct str local, domain, first;
	if (!str_startsi(uri, STR("mailto:")))
		return false;
	struct str to = str_sub(uri, 7, str_find(uri, 0, '?'));
	to = percent_decode(arena, to);
	if (to.n == 0)
		to = sieve_mailto_field(arena, uri, STR("to"));
	if (!to.p || !str_cut(&to, ',', &first) || !sieve_address(arena, first, &local, &domain))
		return false;
	*ret_to = sieve_address_write(arena, local, domain);
	return ret_to->p != NULL && fields_ok(arena, uri);
}

static const char *const date_parts[] = {"year",  "month",  "day",    "date", "julian",
					 "hour",  "minute", "second", "time", "iso8601",
					 "std11", "zone",   "weekday"};

bool sieve_date_part_known(struct str part)
{
	for (size_t i = 0; i < ARRAY_LEN(date_parts); i++)
		if (str_eqi(part, str_c(date_parts[i])))
			return true;
	return false;
}

static void write_zone(struct buf *out, int min, const char *colon)
{
	int m = min < 0 ? -min : min;
	(void)buf_addf(out, "%c%02d%s%02d", min < 0 ? '-' : '+', m / 60, colon, m % 60);
}

/* Days since 17 November 1858. */
static int64_t julian(struct wall_us t)
{
	int64_t s = t.v / 1000000 - (t.v % 1000000 < 0);
	int64_t days = s / 86400 - (s % 86400 < 0);
	return days + 40587;
}

void sieve_date_part(struct buf *out, struct str part, struct wall_us t, int zone_min)
{
	struct civil c;
	struct wall_us local = {t.v + (int64_t)zone_min * 60 * 1000000};
	civil_from_us(local, &c);
	if (str_eqi(part, STR("year")))
		(void)buf_addf(out, "%04d", c.year);
	else if (str_eqi(part, STR("month")))
		(void)buf_addf(out, "%02u", c.month);
	else if (str_eqi(part, STR("day")))
		(void)buf_addf(out, "%02u", c.day);
	else if (str_eqi(part, STR("date")))
		(void)buf_addf(out, "%04d-%02u-%02u", c.year, c.month, c.day);
	else if (str_eqi(part, STR("julian")))
		(void)buf_addf(out, "%lld", (long long)julian(local));
	else if (str_eqi(part, STR("hour")))
		(void)buf_addf(out, "%02u", c.hour);
	else if (str_eqi(part, STR("minute")))
		(void)buf_addf(out, "%02u", c.minute);
	else if (str_eqi(part, STR("second")))
		(void)buf_addf(out, "%02u", c.second);
	else if (str_eqi(part, STR("time")))
		(void)buf_addf(out, "%02u:%02u:%02u", c.hour, c.minute, c.second);
	else if (str_eqi(part, STR("std11")))
		(void)date_write(out, t, zone_min);
	else if (str_eqi(part, STR("zone")))
		write_zone(out, zone_min, "");
	else if (str_eqi(part, STR("weekday")))
		(void)buf_addf(out, "%u", c.weekday);
	else if (str_eqi(part, STR("iso8601"))) {
		(void)buf_addf(out, "%04d-%02u-%02uT%02u:%02u:%02u", c.year, c.month, c.day, c.hour,
			       c.minute, c.second);
		write_zone(out, zone_min, ":");
	}
}

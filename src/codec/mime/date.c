/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/mime/date.h"
#include "base/civil.h"
#include "base/num.h"
#include "codec/mime/lex.h"

/* What was found so far. Tokens come in two orders, so each is taken by its looks. */
struct found {
	struct civil c;
	bool day, month, year, time, zone;
	int zone_min;
};

static bool is_word(char c)
{
	return ascii_alpha(c) || ascii_digit(c) || c == ':' || c == '+' || c == '.';
}

/* "12:34", "12:34:56", also "12.34.56"; a fraction of a second is dropped. */
static bool time_parse(struct str s, struct civil *c)
{
	uint32_t v[3] = {0};
	size_t n = 0;
	char sep = str_find(s, 0, ':') < s.n ? ':' : '.';
	struct str piece;
	if (str_find(s, 0, sep) == s.n)
		return false;
	while (n < 3 && str_cut(&s, sep, &piece)) {
		piece.n = n == 2 ? str_find(piece, 0, '.') : piece.n;
		if (piece.n < 1 || piece.n > 2 || !num_parse_u32(piece, &v[n++]))
			return false;
	}
	if (n < 2 || v[0] > 23 || v[1] > 59 || v[2] > 60)
		return false;
	c->hour = (uint8_t)v[0];
	c->minute = (uint8_t)v[1];
	c->second = (uint8_t)v[2];
	return true;
}

static bool month_parse(struct str s, struct civil *c)
{
	for (unsigned m = 1; m <= 12; m++) {
		if (str_startsi(s, str_c(civil_month_name(m)))) {
			c->month = (uint8_t)m;
			return true;
		}
	}
	return false;
}

/* RFC 5322 4.3. Names that are not listed there, and the military letters, mean UTC. */
static int zone_name(struct str s)
{
	static const struct {
		char name[4];
		int hours;
	} zones[] = {{"EST", -5}, {"EDT", -4}, {"CST", -6}, {"CDT", -5}, {"MST", -7},
		     {"MDT", -6}, {"PST", -8}, {"PDT", -7}, {"CET", 1},	 {"MET", 1},
		     {"BST", 1},  {"EET", 2},  {"JST", 9}};
	for (size_t i = 0; i < ARRAY_LEN(zones); i++)
		if (str_eqi(s, str_c(zones[i].name)))
			return zones[i].hours * 60;
	return str_eqi(s, STR("CEST")) ? 120 : 0;
}

/* "+0130", "-130", "+01:30"; false when it is no offset. */
static bool zone_parse(struct str s, int *ret_min)
{
	uint32_t v;
	char digits[4];
	size_t n = 0;
	for (size_t i = 1; i < s.n; i++)
		if (s.p[i] != ':' && n < sizeof digits)
			digits[n++] = s.p[i];
	if (n == 0 || !num_parse_u32(str_make(digits, n), &v))
		return false;
	int minutes = n <= 2 ? (int)v * 60 : (int)(v / 100 * 60 + v % 100);
	if (minutes > 24 * 60)
		minutes = 0;
	*ret_min = s.p[0] == '-' ? -minutes : minutes;
	return true;
}

static void number_take(struct found *f, struct str s)
{
	uint32_t v;
	if (!num_parse_u32(s, &v))
		return;
	if (!f->day && s.n <= 2) {
		f->c.day = (uint8_t)v;
		f->day = true;
	} else if (!f->year && s.n >= 2 && s.n <= 4) {
		/* RFC 5322 4.3: 00..49 are 20xx, other two and three digits count from 1900. */
		f->c.year = (int32_t)(s.n == 2 && v < 50 ? v + 2000 : s.n < 4 ? v + 1900 : v);
		f->year = true;
	}
}

static void word_take(struct found *f, struct str s)
{
	if (!f->time && ascii_digit(s.p[0]) && time_parse(s, &f->c))
		f->time = true;
	else if (ascii_digit(s.p[0]))
		number_take(f, s);
	else if (f->time && !f->zone && s.p[0] == '+')
		f->zone = zone_parse(s, &f->zone_min);
	else if (!f->month && month_parse(s, &f->c))
		f->month = true;
	else if (f->time && !f->zone && ascii_alpha(s.p[0])) {
		f->zone_min = zone_name(s);
		f->zone = true;
	}
}

bool date_parse(struct str text, struct wall_us *ret, int *ret_zone_min)
{
	struct lex x = {.s = text};
	struct found f = {0};
	struct wall_us t;
	while (lex_cfws(&x, NULL), !lex_end(&x)) {
		size_t from = x.at;
		x.at += lex_at(&x, "-"); /* a sign behind the time, else a separator */
		struct str s = lex_run(&x, is_word);
		if (s.n > 0 && x.at > from + s.n && f.time && !f.zone)
			f.zone = zone_parse(str_sub(text, from, x.at), &f.zone_min);
		else if (s.n > 0)
			word_take(&f, s);
		else if (x.at == from)
			x.at++;
	}
	if (!f.day || !f.month || !f.year || !f.time || !us_from_civil(&f.c, &t))
		return false;
	*ret = (struct wall_us){t.v - (int64_t)f.zone_min * 60 * SEC_US};
	*ret_zone_min = f.zone_min;
	return true;
}

int date_write(struct buf *out, struct wall_us t, int zone_min)
{
	struct civil c;
	int abs_min = zone_min < 0 ? -zone_min : zone_min;
	civil_from_us((struct wall_us){t.v + (int64_t)zone_min * 60 * SEC_US}, &c);
	return buf_addf(out, "%s, %u %s %04d %02u:%02u:%02u %c%02d%02d",
			civil_weekday_name(c.weekday), c.day, civil_month_name(c.month), c.year,
			c.hour, c.minute, c.second, zone_min < 0 ? '-' : '+', abs_min / 60,
			abs_min % 60);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/logfmt/logfmt.h"
#include "base/num.h"

#define SECONDS_LEN 19 /* 2026-11-22T00:13:44 */

/* ---- time ---- */

static bool digits(struct str s, size_t at, size_t n, int64_t *ret)
{
	*ret = 0;
	if (at + n > s.n)
		return false;
	for (size_t i = at; i < at + n; i++) {
		if (!ascii_digit(s.p[i]))
			return false;
		*ret = *ret * 10 + (s.p[i] - '0');
	}
	return true;
}

/* Days since 1970-01-01 in the Gregorian calendar; years are counted from March. */
static int64_t days_of(int64_t y, int64_t m, int64_t d)
{
	y -= m <= 2;
	int64_t era = y / 400, year = y - era * 400;
	int64_t day = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	return era * 146097 + year * 365 + year / 4 - year / 100 + day - 719468;
}

bool logfmt_time(struct str s, struct wall_us *ret)
{
	int64_t y, mo, d, h, mi, sec, us = 0, unit = 100000;
	if (s.n < SECONDS_LEN || s.p[4] != '-' || s.p[7] != '-' ||
	    (s.p[10] != 'T' && s.p[10] != ' ') || s.p[13] != ':' || s.p[16] != ':')
		return false;
	if (!digits(s, 0, 4, &y) || !digits(s, 5, 2, &mo) || !digits(s, 8, 2, &d) ||
	    !digits(s, 11, 2, &h) || !digits(s, 14, 2, &mi) || !digits(s, 17, 2, &sec))
		return false;
	if (mo < 1 || mo > 12 || d < 1 || d > 31 || h > 23 || mi > 59 || sec > 60)
		return false;
	size_t at = SECONDS_LEN;
	if (at < s.n && s.p[at] == '.')
		for (at++; at < s.n && ascii_digit(s.p[at]) && unit > 0; at++, unit /= 10)
			us += (s.p[at] - '0') * unit;
	if (at < s.n && s.p[at] == 'Z')
		at++;
	ret->v = ((days_of(y, mo, d) * 24 + h) * 60 + mi) * 60 + sec;
	ret->v = ret->v * SEC_US + us;
	return at == s.n;
}

/* ---- lines ---- */

/* "mta[123]" */
static bool take_process(struct str word, struct logfmt *ret)
{
	size_t open = str_find(word, 0, '[');
	ret->role = str_sub(word, 0, open);
	return ret->role.n > 0 && str_ends(word, STR("]")) &&
	       num_parse_u32(str_sub(word, open + 1, word.n - 1), &ret->pid);
}

static bool parse_here(struct str line, struct logfmt *ret)
{
	struct str when, process, value;
	struct str rest = line;
	if (!str_cut(&rest, ' ', &when) || !logfmt_time(when, &ret->at) ||
	    !str_ends(when, STR("Z")) || !str_cut(&rest, ' ', &ret->level) ||
	    !str_cut(&rest, ' ', &process) || !take_process(process, ret))
		return false;
	if (!str_starts(rest, STR("event=")))
		return false;
	rest = str_skip(rest, 6);
	size_t end = str_find(rest, 0, ' ');
	ret->event = str_sub(rest, 0, end);
	ret->fields = str_trim(str_skip(rest, end));
	ret->trace = 0;
	if (logfmt_find(ret, STR("trace"), &value) && !num_parse_hex_u64(value, &ret->trace))
		return false;
	return ret->event.n > 0;
}

bool logfmt_parse(struct str line, struct logfmt *ret)
{
	if (parse_here(line, ret))
		return true;
	/* Behind something else: the time is followed by the level. */
	static const char *const levels[] = {"Z error ", "Z warn ", "Z info ", "Z debug "};
	for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
		size_t z = str_find_str(line, 0, str_c(levels[i]));
		if (z == line.n)
			continue;
		size_t from = str_rfind(str_sub(line, 0, z), ' ');
		if (from < z && parse_here(str_skip(line, from + 1), ret))
			return true;
	}
	return false;
}

/* Where the value ends that begins at s: quotes may hold blanks. */
static size_t value_end(struct str s)
{
	if (s.n == 0 || s.p[0] != '"')
		return str_find(s, 0, ' ');
	for (size_t i = 1; i < s.n; i++) {
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == '"')
			return i + 1;
	}
	return s.n; /* cut: whatever is there */
}

bool logfmt_next(struct str *rest, struct str *ret_key, struct str *ret_value)
{
	*rest = str_trim(*rest);
	size_t eq = str_find(*rest, 0, '=');
	if (eq == rest->n)
		return false;
	*ret_key = str_sub(*rest, 0, eq);
	*rest = str_skip(*rest, eq + 1);
	size_t end = value_end(*rest);
	*ret_value = str_sub(*rest, 0, end);
	*rest = str_skip(*rest, end);
	return true;
}

bool logfmt_find(const struct logfmt *l, struct str key, struct str *ret_value)
{
	struct str rest = l->fields, k;
	while (logfmt_next(&rest, &k, ret_value))
		if (str_eq(k, key))
			return true;
	return false;
}

/* ---- values ---- */

static int hex_digit(char c)
{
	if (ascii_digit(c))
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The character behind a backslash at *i. */
static char escaped(struct str s, size_t *i)
{
	char c = s.p[*i];
	if (c == 'x' && *i + 2 < s.n && hex_digit(s.p[*i + 1]) >= 0 &&
	    hex_digit(s.p[*i + 2]) >= 0) {
		c = (char)(hex_digit(s.p[*i + 1]) * 16 + hex_digit(s.p[*i + 2]));
		*i += 2;
		return c;
	}
	return c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : c;
}

int logfmt_value(struct str s, struct buf *out)
{
	if (s.n == 0 || s.p[0] != '"')
		return buf_add(out, s);
	s = str_skip(s, 1);
	if (str_ends(s, STR("\"")))
		s = str_sub(s, 0, s.n - 1);
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (c == '\\' && i + 1 < s.n) {
			i++;
			c = escaped(s, &i);
		}
		if (buf_addc(out, c) < 0)
			return -FAIL_LIMIT;
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/smtp/dnsbl.h"
#include "base/num.h"
#include "base/text.h"
#include <stdio.h>

static bool number(struct str s, uint64_t most, unsigned *ret)
{
	uint64_t v = 0;
	if (s.n == 0 || s.n > 3 || !num_parse_u64(s, &v) || v > most)
		return false;
	*ret = (unsigned)v;
	return true;
}

static void allow(uint8_t part[32], unsigned from, unsigned to)
{
	for (unsigned i = from; i <= to; i++)
		part[i / 8] |= (uint8_t)(1u << (i % 8));
}

/* "2", "2..11" */
static bool take_range(struct str s, uint8_t part[32])
{
	size_t dots = str_find_str(s, 0, STR(".."));
	unsigned from, to;
	if (!number(str_sub(s, 0, dots), 255, &from))
		return false;
	to = from;
	if (dots < s.n && !number(str_skip(s, dots + 2), 255, &to))
		return false;
	allow(part, from, to);
	return from <= to;
}

static bool take_ranges(struct str s, uint8_t part[32])
{
	struct str one;
	if (s.n == 0)
		return false;
	while (str_cut(&s, ';', &one))
		if (!take_range(one, part))
			return false;
	return true;
}

/* One part of the filter off the front of *rest, with the dot behind it unless it is the last. */
static bool take_part(struct str *rest, bool last, uint8_t part[32])
{
	bool brackets = rest->n && rest->p[0] == '[';
	size_t end = brackets ? str_find(*rest, 0, ']') : str_find(*rest, 0, '.');
	struct str inner = brackets ? str_sub(*rest, 1, end) : str_sub(*rest, 0, end);
	unsigned n;
	if (brackets && end == rest->n)
		return false;
	if (brackets) {
		if (!take_ranges(inner, part))
			return false;
		end++;
	} else if (number(inner, 255, &n)) {
		allow(part, n, n);
	} else {
		return false;
	}
	if (last)
		return end == rest->n;
	if (end >= rest->n || rest->p[end] != '.')
		return false;
	*rest = str_skip(*rest, end + 1);
	return true;
}

static bool take_filter(struct str s, struct dnsbl_site *ret)
{
	for (unsigned i = 0; i < 4; i++)
		if (!take_part(&s, i == 3, ret->part[i]))
			return false;
	return true;
}

static bool take_weight(struct str s, int *ret)
{
	bool minus = s.n && s.p[0] == '-';
	unsigned n;
	if (!number(minus ? str_skip(s, 1) : s, 100, &n))
		return false;
	*ret = minus ? -(int)n : (int)n;
	return true;
}

static bool take_zone(struct str s, struct dnsbl_site *ret)
{
	struct str rest = s, label;
	if (s.n == 0 || s.n >= sizeof ret->zone)
		return false;
	while (str_cut(&rest, '.', &label)) {
		if (label.n == 0 || label.n > 63)
			return false;
		for (size_t i = 0; i < label.n; i++)
			if (!ascii_alpha(label.p[i]) && !ascii_digit(label.p[i]) &&
			    label.p[i] != '-' && label.p[i] != '_')
				return false;
	}
	(void)snprintf(ret->zone, sizeof ret->zone, "%.*s", STR_ARG(s));
	return true;
}

const char *dnsbl_parse(struct str spec, struct dnsbl_site *ret)
{
	size_t star = str_rfind(spec, '*');
	struct str head = str_sub(spec, 0, star);
	size_t eq = str_find(head, 0, '=');
	*ret = (struct dnsbl_site){.weight = 1};
	if (star < spec.n && !take_weight(str_skip(spec, star + 1), &ret->weight))
		return T("the weight must be a number from -100 to 100");
	if (!take_zone(str_sub(head, 0, eq), ret))
		return T(
			"that is no zone; allowed: zone, zone*weight, zone=127.0.0.[2..11]*weight");
	if (eq == head.n) {
		for (unsigned i = 0; i < 4; i++)
			allow(ret->part[i], 0, 255);
		return NULL;
	}
	return take_filter(str_skip(head, eq + 1), ret)
		       ? NULL
		       : T("the filter must have four parts, as in 127.0.0.[2;4..11]");
}

bool dnsbl_matches(const struct dnsbl_site *site, const uint8_t answer[4])
{
	for (unsigned i = 0; i < 4; i++)
		if (!(site->part[i][answer[i] / 8] & (1u << (answer[i] % 8))))
			return false;
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/mailfile/mbox.h"
#include "base/civil.h"
#include "base/num.h"
#include "codec/mailfile/maildir.h"
#include <stdio.h>

/* ---- From_ ---- */

static size_t split(struct str s, struct str *words, size_t max)
{
	size_t n = 0;
	struct str rest = s, word;
	while (n < max && str_cut(&rest, ' ', &word))
		if (word.n > 0)
			words[n++] = word;
	return n;
}

static bool read_clock(struct str s, struct civil *c)
{
	struct str part[3];
	uint32_t v[3] = {0};
	size_t n = 0;
	while (n < 3 && str_cut(&s, ':', &part[n]))
		n++;
	if (n < 2)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!num_parse_u32(part[i], &v[i]))
			return false;
	c->hour = (uint8_t)v[0];
	c->minute = (uint8_t)v[1];
	c->second = (uint8_t)v[2];
	return v[0] < 24 && v[1] < 60 && v[2] <= 60;
}

static unsigned month_of(struct str s)
{
	for (unsigned m = 1; m <= 12; m++)
		if (str_eqi(s, str_c(civil_month_name(m))))
			return m;
	return 0;
}

/* "Thu", "Jan", "1", "00:00:00", ["+0000" or a zone's name], "1970" */
static bool read_date(const struct str *w, size_t n, struct wall_us *ret)
{
	struct civil c = {0};
	uint32_t day, year;
	for (size_t i = 0; i + 4 < n; i++) {
		unsigned month = month_of(w[i + 1]);
		bool weekday = false;
		for (unsigned d = 0; d < 7; d++)
			weekday |= str_eqi(w[i], str_c(civil_weekday_name(d)));
		if (!weekday || month == 0 || !num_parse_u32(w[i + 2], &day) || day > 31 ||
		    !read_clock(w[i + 3], &c))
			continue;
		size_t at = num_parse_u32(w[i + 4], &year) && w[i + 4].n == 4 ? i + 4 : i + 5;
		if (at >= n || !num_parse_u32(w[at], &year) || year < 1970 || year > 9999)
			continue;
		c.year = (int32_t)year;
		c.month = (uint8_t)month;
		c.day = (uint8_t)day;
		return us_from_civil(&c, ret);
	}
	return false;
}

bool mbox_is_from(struct str line, struct wall_us *ret_date)
{
	struct str words[16];
	struct wall_us date = {0};
	if (!str_starts(line, STR("From ")) || line.n > 1000)
		return false;
	size_t n = split(str_trim(str_skip(line, 5)), words, ARRAY_LEN(words));
	bool dated = read_date(words, n, &date);
	if (ret_date)
		*ret_date = date;
	return dated;
}

/* ---- quoting ---- */

unsigned mbox_unquote(struct str line)
{
	size_t i = 0;
	while (i < line.n && line.p[i] == '>')
		i++;
	return i > 0 && str_starts(str_skip(line, i), STR("From "));
}

bool mbox_needs_quote(struct str line)
{
	return str_starts(line, STR("From ")) || mbox_unquote(line);
}

/* ---- state ---- */

void mbox_state_init(struct mbox_state *s)
{
	*s = (struct mbox_state){.recent = true, .content_length = UINT64_MAX};
}

static void read_letters(struct mbox_state *s, struct str v)
{
	for (size_t i = 0; i < v.n; i++) {
		switch (v.p[i]) {
		case 'R':
			s->flags |= MAILFILE_SEEN;
			s->recent = false;
			break;
		case 'O':
			s->recent = false;
			break;
		case 'A':
			s->flags |= MAILFILE_ANSWERED;
			break;
		case 'F':
			s->flags |= MAILFILE_FLAGGED;
			break;
		case 'D':
			s->flags |= MAILFILE_DELETED;
			break;
		case 'T':
			s->flags |= MAILFILE_DRAFT;
			break;
		default:
			break;
		}
	}
}

static void read_keywords(struct mbox_state *s, struct str v)
{
	struct str word;
	while (str_cut(&v, ' ', &word)) {
		size_t n = strlen(s->keywords);
		if (mailfile_is_atom(word) && n + word.n + 2 < sizeof s->keywords)
			(void)snprintf(s->keywords + n, sizeof s->keywords - n, "%s%.*s",
				       n ? " " : "", STR_ARG(word));
	}
}

static void read_base(struct mbox_state *s, struct str v)
{
	struct str word[2];
	if (split(v, word, 2) < 2 || !num_parse_u32(word[0], &s->uidvalidity) ||
	    !num_parse_u32(word[1], &s->uidlast))
		s->uidvalidity = s->uidlast = 0;
}

static void read_uid(struct mbox_state *s, struct str v)
{
	if (!num_parse_u32(v, &s->uid))
		s->uid = 0;
}

static void read_length(struct mbox_state *s, struct str v)
{
	if (!num_parse_u64(v, &s->content_length))
		s->content_length = UINT64_MAX;
}

bool mbox_state_line(struct mbox_state *s, struct str line)
{
	static const struct {
		const char *name;
		void (*read)(struct mbox_state *s, struct str v);
	} fields[] = {
		{"Status", read_letters},	 {"X-Status", read_letters},
		{"X-Keywords", read_keywords},	 {"X-UID", read_uid},
		{"X-IMAPbase", read_base},	 {"X-IMAP", read_base},
		{"Content-Length", read_length},
	};
	struct str rest = line, name;
	if (str_find(line, 0, ':') == line.n || !str_cut(&rest, ':', &name))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (str_eqi(name, str_c(fields[i].name))) {
			fields[i].read(s, str_trim(rest));
			return true;
		}
	return false;
}

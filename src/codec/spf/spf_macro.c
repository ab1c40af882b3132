/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 7208 7: macros, and names that are made with them. */
#include "base/num.h"
#include "codec/spf/spf_int.h"
#include <arpa/inet.h>

#define PIECES_MAX 130
#define NAME_MAX_N 253

static void add_address(const struct spf_run *run, bool readable, struct buf *b)
{
	char c[INET6_ADDRSTRLEN];
	if (run->ip_n == 4 || readable) {
		inet_ntop(run->ip_n == 4 ? AF_INET : AF_INET6, run->ip, c, sizeof(c));
		buf_add_c(b, c);
		return;
	}
	for (size_t i = 0; i < 16; i++) /* 7.3: nibbles */
		buf_addf(b, "%s%X.%X", i ? "." : "", run->ip[i] >> 4, run->ip[i] & 15u);
}

static void add_value(struct spf_run *run, struct str domain, char letter, struct buf *b)
{
	bool over = false;
	switch (letter) {
	case 's':
		buf_add(b, run->sender);
		break;
	case 'l':
		buf_add(b, run->local);
		break;
	case 'o':
		buf_add(b, run->sender_domain);
		break;
	case 'd':
		buf_add(b, domain);
		break;
	case 'i':
		add_address(run, false, b);
		break;
	case 'c':
		add_address(run, true, b);
		break;
	case 'p':
		if (run->validated.n == 0) {
			run->validated = spf_validated(run, domain, false, &over);
			if (run->validated.n == 0)
				run->validated = spf_validated(run, STR_NULL, false, &over);
			if (run->validated.n == 0)
				run->validated = STR("unknown");
		}
		buf_add(b, run->validated);
		break;
	case 'v':
		buf_add_c(b, run->ip_n == 4 ? "in-addr" : "ip6");
		break;
	case 'h':
		buf_add(b, run->q->helo);
		break;
	case 'r':
		buf_add(b, run->q->receiver.n ? run->q->receiver : STR("unknown"));
		break;
	default:
		buf_add_u64(b, run->q->now);
		break;
	}
}

/* Cut at the delimiters; keep the right-most `keep` pieces, after turning them round if wanted. */
static void add_pieces(struct str value, struct str delimiters, bool reverse, size_t keep,
		       struct buf *b)
{
	struct str pieces[PIECES_MAX];
	size_t n = 0;
	if (delimiters.n == 0)
		delimiters = STR(".");
	for (size_t i = 0, from = 0; i <= value.n; i++) {
		if (i < value.n && !memchr(delimiters.p, value.p[i], delimiters.n))
			continue;
		if (n == PIECES_MAX) { /* more than names have: the left ones go */
			memmove(pieces, pieces + 1, (PIECES_MAX - 1) * sizeof(*pieces));
			n--;
		}
		pieces[n++] = str_sub(value, from, i);
		from = i + 1;
	}
	size_t first = keep && keep < n ? n - keep : 0;
	for (size_t i = first; i < n; i++) {
		if (i > first)
			buf_addc(b, '.');
		buf_add(b, pieces[reverse ? n - 1 - i : i]);
	}
}

static void add_escaped(struct str s, struct buf *b)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (ascii_alpha(c) || ascii_digit(c) || memchr("-._~", c, 4))
			buf_addc(b, c);
		else
			buf_addf(b, "%%%02X", (unsigned)(unsigned char)c);
	}
}

/* "{ir-}": what stands in it is a macro, spf_macro_ok has seen to that. */
static void add_macro(struct spf_run *run, struct str domain, struct str m, struct buf *ret)
{
	AUTO(buf) struct buf value = BUF_INIT(4096), cut = BUF_INIT(4096);
	size_t at = 2, keep = 0;
	while (ascii_digit(m.p[at]))
		keep = keep * 10 + (size_t)(m.p[at++] - '0');
	bool reverse = ascii_lower(m.p[at]) == 'r';
	at += reverse;
	struct str delimiters = str_sub(m, at, m.n - 1);
	add_value(run, domain, ascii_lower(m.p[1]), &value);
	bool plain = keep == 0 && !reverse && delimiters.n == 0;
	if (!plain)
		add_pieces(buf_str(&value), delimiters, reverse, keep, &cut);
	struct str s = plain ? buf_str(&value) : buf_str(&cut);
	if (m.p[1] != ascii_lower(m.p[1]))
		add_escaped(s, ret);
	else
		buf_add(ret, s);
	if (value.failed || cut.failed)
		ret->failed = true;
}

int spf_expand(struct spf_run *run, struct str domain, struct str text, bool in_exp,
	       struct buf *ret)
{
	if (!spf_macro_ok(text, in_exp))
		return -FAIL_SYNTAX;
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] != '%') {
			buf_addc(ret, text.p[i]);
			continue;
		}
		i++;
		if (text.p[i] == '%') {
			buf_addc(ret, '%');
		} else if (text.p[i] == '_') {
			buf_addc(ret, ' ');
		} else if (text.p[i] == '-') {
			buf_add(ret, STR("%20"));
		} else {
			size_t end = str_find(text, i, '}');
			add_macro(run, domain, str_sub(text, i, end + 1), ret);
			i = end;
		}
	}
	return ret->failed ? -FAIL_LIMIT : 0;
}

struct str spf_target(struct spf_run *run, struct str domain, struct str spec)
{
	AUTO(buf) struct buf b = BUF_INIT(8192);
	if (spec.n == 0)
		return domain;
	if (spf_expand(run, domain, spec, false, &b) < 0)
		return STR_NULL;
	for (size_t i = 0; i < b.n; i++)
		b.p[i] = ascii_lower(b.p[i]);
	struct str s = buf_str(&b);
	if (str_ends(s, STR(".")))
		s.n--;
	while (s.n > NAME_MAX_N) { /* 7.3: labels from the left go */
		size_t dot = str_find(s, 0, '.');
		s = str_skip(s, MIN(dot + 1, s.n));
	}
	return arena_str(run->a, s.n ? s : STR("."));
}

struct str spf_domain(struct str name, struct arena *a)
{
	if (str_ends(name, STR(".")))
		name.n--;
	if (name.n == 0 || name.n > NAME_MAX_N || name.p[0] == '[' ||
	    str_find(name, 0, '.') == name.n)
		return STR_NULL;
	struct str rest = name, label;
	while (str_cut(&rest, '.', &label))
		if (label.n == 0 || label.n > 63)
			return STR_NULL;
	char *copy = arena_c(a, name);
	for (size_t i = 0; copy && i < name.n; i++)
		copy[i] = ascii_lower(copy[i]);
	return copy ? str_make(copy, name.n) : STR_NULL;
}

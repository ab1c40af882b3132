/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two passes over the log. The first looks for the key as bytes (memmem is as fast as the memory)
 * and reads only lines that have it; the second takes the trace id out of every line and keeps
 * the lines of the traces that were found.
 */
#include "base/num.h"
#include "sys/log.h"
#include "tools/barid/trace.h"
#include <stdio.h>

#define TRACE_AT_MOST 200 /* bytes in front of the trace id in a line: time, role, event */
#define ID_DIGITS_MIN 6	  /* fewer hexadecimal digits are a queue number, or nothing */
#define NUMBER_DIGITS 10
#define UNTRACED_MAX  20u

/* --- what is asked
 * -------------------------------------------------------------------------------- */

static struct str lower(struct str s, struct arena *a)
{
	struct str copy = arena_str(a, s);
	char *p = (char *)(uintptr_t)copy.p;
	for (size_t i = 0; i < copy.n; i++)
		p[i] = ascii_lower(p[i]);
	return copy;
}

struct trace_query trace_query_make(struct str key, struct arena *a)
{
	struct trace_query q = {.until = {INT64_MAX}, .limit = 10};
	key = str_trim(key);
	if (str_starts(key, STR("<")) && str_ends(key, STR(">")))
		key = str_sub(key, 1, key.n - 1);
	q.key = arena_str(a, key);
	q.lower = lower(key, a);
	if (key.n <= NUMBER_DIGITS && num_parse_u64(key, &q.number))
		return q;
	/* "1f-2" is the second message of connection 1f, as Received has it. */
	struct str hex = str_sub(q.lower, 0, str_find(q.lower, 0, '-'));
	if (hex.n >= ID_DIGITS_MIN)
		(void)(num_parse_hex_u64(hex, &q.id) || (q.id = 0));
	return q;
}

/* Is the key one of "a@x,b@x", "<id>", "192.0.2.1:25"? "@x" is everybody of x. */
static bool is_named(const struct trace_query *q, struct str one)
{
	if (str_starts(one, STR("<")) && str_ends(one, STR(">")))
		one = str_sub(one, 1, one.n - 1);
	if (str_eq(one, q->key) || str_eq(one, q->lower))
		return true;
	if (q->lower.n > 1 && q->lower.p[0] == '@' && str_ends(one, q->lower))
		return true;
	size_t colon = str_rfind(one, ':'); /* an address with its port */
	struct str host = str_sub(one, 0, colon);
	if (str_starts(host, STR("[")) && str_ends(host, STR("]")))
		host = str_sub(host, 1, host.n - 1);
	return colon < one.n && str_eq(host, q->lower);
}

static bool is_key_field(struct str key)
{
	static const char *const names[] = {"from",  "to",	   "about", "rcpt", "user",
					    "login", "name",	   "by",    "peer", "ip",
					    "helo",  "message-id", "as"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_eq(key, str_c(names[i])))
			return true;
	return false;
}

bool trace_query_matches(const struct trace_query *q, const struct logfmt *l)
{
	struct str rest = l->fields, key, value;
	if (l->at.v < q->since.v || l->at.v > q->until.v)
		return false;
	if (q->id && l->trace == q->id)
		return true;
	while (logfmt_next(&rest, &key, &value)) {
		uint64_t n;
		if (q->number) {
			if ((str_eq(key, STR("number")) || str_eq(key, STR("report"))) &&
			    num_parse_u64(value, &n) && n == q->number)
				return true;
			continue;
		}
		if (!is_key_field(key))
			continue;
		AUTO(buf) struct buf plain = BUF_INIT(LOG_LINE_MAX);
		struct str one, all;
		if (logfmt_value(value, &plain) < 0)
			continue;
		all = buf_str(&plain);
		while (str_cut(&all, ',', &one))
			if (is_named(q, one))
				return true;
	}
	return false;
}

/* --- pass 1
 * --------------------------------------------------------------------------------------- */

static struct trace *trace_of(struct trace_found *f, uint64_t id)
{
	struct trace *t = map_get(&f->by_id, id);
	if (t)
		return t;
	t = xcalloc(1, sizeof *t);
	t->id = id;
	(void)map_put(&f->by_id, id, t);
	*vec_push(&f->v) = t;
	return t;
}

static struct str line_at(struct str all, size_t at)
{
	const char *begin = at ? memrchr(all.p, '\n', at) : NULL;
	const char *end = memchr(all.p + at, '\n', all.n - at);
	size_t from = begin ? (size_t)(begin - all.p) + 1 : 0;
	return str_sub(all, from, end ? (size_t)(end - all.p) : all.n);
}

static void take_match(const struct trace_query *q, struct str text, struct trace_found *found)
{
	struct logfmt l;
	if (!logfmt_parse(text, &l) || !trace_query_matches(q, &l))
		return;
	struct trace *t = trace_of(found, l.trace);
	if (l.at.v > t->last_match.v)
		t->last_match = l.at;
	if (l.trace)
		return; /* its lines come in the second pass */
	if (t->lines.n == UNTRACED_MAX)
		vec_remove(&t->lines, 0);
	*vec_push(&t->lines) = (struct trace_line){.l = l, .text = text, .match = true};
}

static void find_keys(struct str all, struct str needle, const struct trace_query *q,
		      struct trace_found *found)
{
	const char *p = all.p, *end = all.p + all.n;
	while (p < end && (p = memmem(p, (size_t)(end - p), needle.p, needle.n))) {
		struct str text = line_at(all, (size_t)(p - all.p));
		take_match(q, text, found);
		p = text.p + text.n;
	}
}

/* The key as it stands in a line: quoted, where it has odd characters. */
static struct str written(struct str key, char *out, size_t size)
{
	struct str s = {out, log_quote(key, out, size)};
	return s.n && s.p[0] == '"' ? str_sub(s, 1, s.n - 1) : s;
}

static void first_pass(const struct trace_files *f, const struct trace_query *q,
		       struct trace_found *found)
{
	char text[2 * LOG_LINE_MAX], other[2 * LOG_LINE_MAX];
	struct str needle = written(q->lower, text, sizeof text);
	struct str as_given = written(q->key, other, sizeof other);
	if (q->number) /* "12" alone is everywhere */
		needle = str_make(text, (size_t)snprintf(text, sizeof text, "number=%llu",
							 (unsigned long long)q->number));
	if (q->id)
		needle = str_make(text, (size_t)snprintf(text, sizeof text, "trace=%llx",
							 (unsigned long long)q->id));
	for (size_t i = 0; i < f->v.n; i++) {
		find_keys(f->v.p[i].bytes, needle, q, found);
		if (!q->number && !q->id && !str_eq(needle, as_given))
			find_keys(f->v.p[i].bytes, as_given, q, found);
		if (q->number) {
			struct str report = {other,
					     (size_t)snprintf(other, sizeof other, "report=%llu",
							      (unsigned long long)q->number)};
			find_keys(f->v.p[i].bytes, report, q, found);
		}
	}
}

/* --- pass 2
 * --------------------------------------------------------------------------------------- */

static uint64_t quick_trace(struct str line)
{
	static const char mark[] = " trace=";
	size_t n = MIN(line.n, (size_t)TRACE_AT_MOST);
	const char *p = memmem(line.p, n, mark, sizeof mark - 1);
	uint64_t id = 0;
	if (!p)
		return 0;
	for (p += sizeof mark - 1; p < line.p + line.n; p++) {
		unsigned digit = ascii_digit(*p)	  ? (unsigned)(*p - '0')
				 : *p >= 'a' && *p <= 'f' ? (unsigned)(*p - 'a') + 10
							  : 16;
		if (digit > 15)
			break;
		id = id << 4 | digit;
	}
	return id;
}

static void second_pass(struct str all, const struct trace_query *q, struct trace_found *found)
{
	while (all.n) {
		const char *end = memchr(all.p, '\n', all.n);
		struct str text = str_sub(all, 0, end ? (size_t)(end - all.p) : all.n);
		uint64_t id = quick_trace(text);
		struct trace *t = id ? map_get(&found->by_id, id) : NULL;
		struct trace_line line = {.text = text};
		all = str_skip(all, text.n + 1);
		if (!t || !logfmt_parse(text, &line.l) || line.l.trace != id)
			continue;
		line.match = trace_query_matches(q, &line.l);
		*vec_push(&t->lines) = line;
	}
}

/* --- all
 * ------------------------------------------------------------------------------------------ */

static int newest_first(const void *a, const void *b)
{
	const struct trace *x = *(struct trace *const *)a, *y = *(struct trace *const *)b;
	if (!x->id != !y->id)
		return !x->id ? 1 : -1; /* lines of no connection come last */
	return x->last_match.v < y->last_match.v ? 1 : x->last_match.v > y->last_match.v ? -1 : 0;
}

/* Lines of several processes are not quite in order in the file. Equal times stay as they are. */
static int by_time(const void *a, const void *b)
{
	const struct trace_line *x = a, *y = b;
	if (x->l.at.v != y->l.at.v)
		return x->l.at.v < y->l.at.v ? -1 : 1;
	return x->text.p < y->text.p ? -1 : x->text.p > y->text.p;
}

static void free_trace(struct trace *t)
{
	vec_clear(&t->lines);
	free(t);
}

void trace_search(const struct trace_files *f, const struct trace_query *q, struct trace_found *ret)
{
	*ret = (struct trace_found){0};
	if (q->key.n)
		first_pass(f, q, ret);
	if (ret->v.n)
		qsort(ret->v.p, ret->v.n, sizeof *ret->v.p, newest_first);
	/* Those without a connection are one group, which stays. */
	bool group = ret->v.n && !ret->v.p[ret->v.n - 1]->id;
	while (ret->v.n > q->limit + group) {
		size_t last = ret->v.n - 1 - group;
		struct trace *t = ret->v.p[last];
		vec_remove(&ret->v, last);
		ret->more++;
		(void)map_remove(&ret->by_id, t->id);
		free_trace(t);
	}
	for (size_t i = 0; ret->v.n && i < f->v.n; i++)
		second_pass(f->v.p[i].bytes, q, ret);
	for (size_t i = 0; i < ret->v.n; i++)
		if (ret->v.p[i]->lines.n)
			qsort(ret->v.p[i]->lines.p, ret->v.p[i]->lines.n,
			      sizeof *ret->v.p[i]->lines.p, by_time);
}

void trace_found_clear(struct trace_found *f)
{
	for (size_t i = 0; i < f->v.n; i++)
		free_trace(f->v.p[i]);
	vec_clear(&f->v);
	map_clear(&f->by_id);
}

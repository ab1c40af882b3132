/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of `barid queue list|hold|... WORDS`: which recipients are meant.
 */
#include "base/num.h"
#include "roles/queue/queue.h"
#include "sys/clock.h"

static int bad(struct str word, struct fail *why)
{
	char text[300];

	(void)snprintf(text, sizeof text, "Not understood: %.*s", STR_ARG(str_sub(word, 0, 200)));
	return fail_set(why, FAIL_SYNTAX, text, "queue: bad filter");
}

/* A number with one of the units; without any it counts single ones. */
struct unit {
	const char *name;
	uint64_t factor;
};

static bool parse_amount(struct str s, const struct unit *units, size_t n, uint64_t *ret)
{
	size_t digits = 0;

	while (digits < s.n && s.p[digits] >= '0' && s.p[digits] <= '9')
		digits++;
	uint64_t v = 0;
	if (!num_parse_u64(str_sub(s, 0, digits), &v))
		return false;
	for (size_t i = 0; i < n; i++)
		if (str_eqi(str_skip(s, digits), str_c(units[i].name)) &&
		    v <= (UINT64_C(1) << 50) / units[i].factor) {
			*ret = v * units[i].factor;
			return true;
		}
	return false;
}

static bool parse_age(struct str s, struct wall_us *ret)
{
	static const struct unit units[] = {{"s", 1},	 {"", 1},      {"m", 60},    {"min", 60},
					    {"h", 3600}, {"d", 86400}, {"w", 604800}};
	uint64_t seconds = 0;

	if (!parse_amount(s, units, ARRAY_LEN(units), &seconds) || seconds > 1000000000)
		return false;
	ret->v = clock_wall().v - (int64_t)seconds * SEC_US;
	return true;
}

static bool parse_bytes(struct str s, uint64_t *ret)
{
	static const struct unit units[] = {
		{"", 1},	 {"b", 1},	     {"k", 1024},
		{"kib", 1024},	 {"m", 1024 * 1024}, {"mib", 1024 * 1024},
		{"g", 1u << 30}, {"gib", 1u << 30}};

	return parse_amount(s, units, ARRAY_LEN(units), ret);
}

static bool parse_states(struct str s, unsigned *ret)
{
	unsigned bits = 0;

	while (s.n) {
		size_t n = str_find(s, 0, ',');
		unsigned bit = 0;
		for (unsigned i = 0; i < SPOOL_STATES; i++)
			if (str_eqi(str_sub(s, 0, n), str_c(spool_state_name((enum spool_state)i))))
				bit = 1u << i;
		if (!bit)
			return false;
		bits |= bit;
		s = str_skip(s, n + 1);
	}
	*ret = bits;
	return bits != 0;
}

/* "4711", or "4711/3": behind that recipient. */
static bool parse_after(struct str s, struct spool_key *ret)
{
	size_t n = str_find(s, 0, '/');
	uint32_t rcpt = UINT32_MAX;
	uint64_t number = 0;

	if (!num_parse_u64(str_sub(s, 0, n), &number) || number > INT64_MAX ||
	    (n < s.n && !num_parse_u32(str_skip(s, n + 1), &rcpt)))
		return false;
	*ret = (struct spool_key){number, rcpt};
	return true;
}

static bool parse_number(struct str s, uint64_t *ret)
{
	return num_parse_u64(s, ret) && *ret > 0 && *ret <= INT64_MAX;
}

static int parse_account(struct str s, struct account_id *ret, struct fail *why)
{
	AUTO(arena) struct arena a = ARENA_INIT(KIB(256));
	struct spool_route route = {0};
	int r = queue_route(queue.role, &(struct spool_question){.address = s}, &a, &route, why);

	if (r < 0)
		return r;
	for (size_t i = 0; i < route.n; i++)
		if (route.dests[i].account.v && str_eqi(route.dests[i].address, s)) {
			*ret = route.dests[i].account;
			return 0;
		}
	return fail_set(why, FAIL_NOTFOUND, "There is no such account.", "queue: no account");
}

static int parse_option(struct str name, struct str v, struct queue_words *w, struct fail *why)
{
	struct spool_query *q = &w->q;
	struct {
		const char *name;
		struct str *to;
	} texts[] = {{"--from", &q->sender},	 {"--to", &q->rcpt},   {"--domain", &q->domain},
		     {"--nexthop", &q->nexthop}, {"--text", &q->text}, {"--address", &q->address}};
	uint64_t max = 0;
	bool ok = false;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (str_eq(name, str_c(texts[i].name))) {
			*texts[i].to = v;
			return v.n ? 0 : bad(name, why);
		}
	if (str_eq(name, STR("--account")))
		return parse_account(v, &q->account, why);
	if (str_eq(name, STR("--id"))) {
		ok = parse_number(v, &q->number);
	} else if (str_eq(name, STR("--state"))) {
		ok = parse_states(v, &q->states);
	} else if (str_eq(name, STR("--older"))) {
		ok = parse_age(v, &q->until);
	} else if (str_eq(name, STR("--newer"))) {
		ok = parse_age(v, &q->since);
	} else if (str_eq(name, STR("--larger"))) {
		ok = parse_bytes(v, &q->size_min);
	} else if (str_eq(name, STR("--smaller"))) {
		ok = parse_bytes(v, &q->size_max);
	} else if (str_eq(name, STR("--after"))) {
		ok = parse_after(v, &q->after);
	} else if (str_eq(name, STR("--max"))) {
		ok = num_parse_u64(v, &max) && max > 0 && max <= QUEUE_LIST_MAX;
		q->max = (unsigned)max;
	}
	return ok ? 0 : bad(name, why);
}

int queue_words(const struct msg_text *words, size_t n, struct queue_words *ret, struct fail *why)
{
	*ret = (struct queue_words){0};
	for (size_t i = 0; i < n; i++) {
		struct str w = words[i].s;
		int r = 0;
		if (str_eq(w, STR("--dry-run"))) {
			ret->dry_run = true;
		} else if (str_starts(w, STR("--"))) {
			r = i + 1 < n ? parse_option(w, words[i + 1].s, ret, why) : bad(w, why);
			/* A page of all is not some of them: an order says "all". */
			ret->narrowed |= !str_eq(w, STR("--max")) && !str_eq(w, STR("--after"));
			i++;
		} else if (str_eq(w, STR("all"))) {
			ret->all = true;
		} else if (ret->q.number == 0 && parse_number(w, &ret->q.number)) {
			ret->narrowed = true;
		} else if (ret->q.address.n == 0 && w.n > 0 && w.p[0] != '-') {
			ret->q.address = w;
			ret->narrowed = true;
		} else {
			r = bad(w, why);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/sts/sts.h"
#include "base/num.h"
#include <string.h>

static const char *const modes[] = {
	[STS_NONE] = "none", [STS_TESTING] = "testing", [STS_ENFORCE] = "enforce"};

const char *sts_mode_name(enum sts_mode m)
{
	return modes[m];
}

/* --- the record
 * --------------------------------------------------------------------------------- */

static bool id_ok(struct str id)
{
	if (id.n == 0 || id.n >= STS_ID_MAX)
		return false;
	for (size_t i = 0; i < id.n; i++)
		if (!ascii_alpha(id.p[i]) && !ascii_digit(id.p[i]))
			return false;
	return true;
}

bool sts_record_parse(struct str text, char ret_id[STS_ID_MAX])
{
	struct str rest = text, field, name, id = STR_NULL;
	if (!str_cut(&rest, ';', &field) || !str_eq(str_trim(field), STR("v=STSv1")))
		return false;
	while (str_cut(&rest, ';', &field)) {
		field = str_trim(field);
		if (field.n == 0 || !str_cut(&field, '=', &name))
			continue;
		if (str_eq(str_trim(name), STR("id")) && !id.p)
			id = str_trim(field);
	}
	if (!id_ok(id))
		return false;
	memcpy(ret_id, id.p, id.n);
	ret_id[id.n] = '\0';
	return true;
}

/* --- the policy
 * --------------------------------------------------------------------------------- */

/* A host name, with "*." in front of it perhaps. */
static bool pattern_ok(struct str s)
{
	if (str_starts(s, STR("*.")))
		s = str_skip(s, 2);
	if (s.n == 0 || s.n > 253 || s.p[0] == '.' || s.p[s.n - 1] == '.')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_alpha(s.p[i]) && !ascii_digit(s.p[i]) && s.p[i] != '-' &&
		    s.p[i] != '.' && s.p[i] != '_')
			return false;
	return true;
}

struct seen {
	bool version, mode, max_age;
};

static bool take_mode(struct str value, struct sts_policy *p)
{
	for (size_t i = 0; i < ARRAY_LEN(modes); i++)
		if (str_eq(value, str_c(modes[i]))) {
			p->mode = (enum sts_mode)i;
			return true;
		}
	return false;
}

static bool take_age(struct str value, struct sts_policy *p)
{
	uint64_t age = 0;
	if (value.n > 10 || !num_parse_u64(value, &age))
		return false;
	p->max_age = (uint32_t)MIN(age, (uint64_t)STS_AGE_MAX);
	return true;
}

/* Of a field that comes twice the first one counts (3.2), but for mx. */
static bool take(struct str key, struct str value, struct sts_policy *p, struct seen *seen)
{
	if (str_eq(key, STR("version")) && !seen->version)
		return seen->version = str_eq(value, STR("STSv1"));
	if (str_eq(key, STR("mode")) && !seen->mode)
		return seen->mode = take_mode(value, p);
	if (str_eq(key, STR("max_age")) && !seen->max_age)
		return seen->max_age = take_age(value, p);
	if (str_eq(key, STR("mx"))) {
		if (!pattern_ok(value) || p->n == STS_MX_MAX)
			return false;
		p->mx[p->n++] = value;
	}
	return true; /* what is not known is passed over */
}

bool sts_policy_parse(struct str text, struct sts_policy *ret)
{
	struct seen seen = {0};
	struct str line, key;
	if (text.n > STS_POLICY_MAX)
		return false;
	ret->n = 0;
	while (str_cut(&text, '\n', &line)) {
		line = str_trim(line);
		if (line.n == 0)
			continue;
		size_t colon = str_find(line, 0, ':');
		if (colon == line.n)
			return false;
		key = str_trim(str_sub(line, 0, colon));
		if (!take(key, str_trim(str_skip(line, colon + 1)), ret, &seen))
			return false;
	}
	return seen.version && seen.mode && seen.max_age && (ret->n > 0 || ret->mode == STS_NONE);
}

bool sts_policy_has(const struct sts_policy *p, struct str host)
{
	size_t dot = str_find(host, 0, '.');
	struct str parent = dot > 0 ? str_skip(host, dot + 1) : STR_NULL;
	for (size_t i = 0; i < p->n; i++) {
		struct str mx = p->mx[i];
		if (str_eqi(mx, host))
			return true;
		if (str_starts(mx, STR("*.")) && str_eqi(str_skip(mx, 2), parent))
			return true;
	}
	return false;
}

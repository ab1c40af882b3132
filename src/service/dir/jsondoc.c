/* SPDX-License-Identifier: Apache-2.0 */
#include "jsondoc.h"

#include <jansson.h>

/* A struct jsondoc is jansson's value under a name of ours. */
static const json_t *value_of(const struct jsondoc *j)
{
	return (const json_t *)(const void *)j;
}

/* Brackets outside of texts: jansson itself would go 2,048 calls deep. */
static bool too_deep(struct str s)
{
	unsigned depth = 0;
	bool text = false;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (text && c == '\\')
			i++;
		else if (c == '"')
			text = !text;
		else if (!text && (c == '{' || c == '['))
			depth++;
		else if (!text && (c == '}' || c == ']') && depth > 0)
			depth--;
		if (depth > JSONDOC_DEPTH)
			return true;
	}
	return false;
}

int jsondoc_read(struct str text, struct jsondoc **ret)
{
	json_error_t error;

	if (text.n > JSONDOC_MAX || too_deep(text))
		return -FAIL_LIMIT;
	if (text.n == 0)
		return -FAIL_SYNTAX;
	json_t *v = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, &error);
	if (!json_is_object(v)) {
		json_decref(v);
		return -FAIL_SYNTAX;
	}
	*ret = (struct jsondoc *)(void *)v;
	return 0;
}

void jsondoc_free(struct jsondoc *j)
{
	json_decref((json_t *)(void *)j);
}

bool jsondoc_has(const struct jsondoc *j, const char *key)
{
	return json_object_get(value_of(j), key) != NULL;
}

static struct str text_of(const json_t *v)
{
	return str_make(json_string_value(v), json_string_length(v));
}

bool jsondoc_text(const struct jsondoc *j, const char *key, struct str *ret)
{
	const json_t *v = json_object_get(value_of(j), key);

	if (!json_is_string(v))
		return false;
	*ret = text_of(v);
	return true;
}

bool jsondoc_denies(const struct jsondoc *j, const char *key)
{
	const json_t *v = json_object_get(value_of(j), key);

	return v && !json_is_true(v) && !(json_is_string(v) && str_eqi(text_of(v), STR("true")));
}

bool jsondoc_number(const struct jsondoc *j, const char *key, int64_t *ret)
{
	const json_t *v = json_object_get(value_of(j), key);

	if (json_is_integer(v)) {
		*ret = json_integer_value(v);
		return true;
	}
	if (!json_is_real(v) || !(json_real_value(v) > -1e15 && json_real_value(v) < 1e15))
		return false;
	*ret = (int64_t)json_real_value(v);
	return true;
}

bool jsondoc_names(const struct jsondoc *j, const char *key, struct str want)
{
	const json_t *v = json_object_get(value_of(j), key);

	if (json_is_string(v))
		return str_eq(text_of(v), want);
	for (size_t i = 0; i < json_array_size(v); i++) {
		const json_t *item = json_array_get(v, i);
		if (json_is_string(item) && str_eq(text_of(item), want))
			return true;
	}
	return false;
}

const struct jsondoc *jsondoc_item(const struct jsondoc *j, const char *key, size_t i)
{
	const json_t *v = json_array_get(json_object_get(value_of(j), key), i);

	return json_is_object(v) ? (const struct jsondoc *)(const void *)v : NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/barid/options.h"
#include "base/num.h"
#include "base/text.h"
#include <stdio.h>

static const struct option *find(const struct option *options, size_t n, struct str word,
				 struct str *value)
{
	struct str rest = word, name = word;
	value->p = NULL;
	if (str_find(word, 0, '=') < word.n) {
		(void)str_cut(&rest, '=', &name);
		*value = rest;
	}
	for (size_t i = 0; i < n; i++)
		if (str_eq(str_c(options[i].name), name))
			return &options[i];
	return NULL;
}

static bool set(const struct option *o, struct str value)
{
	if (o->flag) {
		*o->flag = true;
		return value.p == NULL;
	}
	if (o->number)
		return num_parse_u64(value, o->number);
	*o->text = value.p; /* words of argv end with NUL */
	return value.n > 0;
}

bool options_take(const struct cli *c, const struct option *options, size_t n_options,
		  const char **words, size_t max_words, size_t *ret_words)
{
	size_t n = 0;
	for (size_t i = 1; i < c->n; i++) {
		struct str value, word = str_c(c->args[i]);
		if (!str_starts(word, STR("--"))) {
			if (n == max_words) {
				(void)fprintf(stderr, T("One word too many: %s\n"), c->args[i]);
				return false;
			}
			words[n++] = c->args[i];
			continue;
		}
		const struct option *o = find(options, n_options, word, &value);
		if (!o) {
			(void)fprintf(stderr, T("Unknown option %s\n"), c->args[i]);
			return false;
		}
		if (!o->flag && !value.p && i + 1 < c->n)
			value = str_c(c->args[++i]);
		if (!set(o, value)) {
			(void)fprintf(stderr, T("%s: bad or missing value\n"), o->name);
			return false;
		}
	}
	*ret_words = n;
	return true;
}

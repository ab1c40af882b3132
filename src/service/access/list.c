/* SPDX-License-Identifier: Apache-2.0 */
/* The tables that a configuration names. */
#include "base/check.h"
#include "runtime/conf.h"
#include "service/access/access.h"
#include <stdlib.h>

static int parse_one(const char *entry, bool content, struct access_table **ret, struct buf *errors)
{
	AUTO(buf) struct buf text = BUF_INIT(MIB(1)), name = BUF_INIT(KIB(8));
	(void)buf_add(&name, conf_table_name(entry));
	if (str_eq(buf_str(&name), STR("default")))
		return access_parse("default", content ? STR("") : access_builtin_helo(), ret,
				    errors);
	if (conf_table_text(entry, &text) < 0) {
		(void)buf_addf(errors, "%s: cannot be decoded\n", buf_c(&name));
		return -FAIL_SYNTAX;
	}
	struct str lines = text.n ? buf_str(&text) : STR("");
	return content ? access_parse_content(buf_c(&name), lines, ret, errors)
		       : access_parse(buf_c(&name), lines, ret, errors);
}

static int parse_list(const struct conf_list *files, bool content, struct access_list *ret,
		      struct buf *errors)
{
	struct access_list l = {.p = xcalloc(files->n + 1, sizeof *l.p)};
	int r = 0;
	for (size_t i = 0; i < files->n; i++) {
		struct access_table *t = NULL;
		int one = parse_one(files->p[i], content, &t, errors);
		if (one == 0)
			l.p[l.n++] = t;
		r = MIN(r, one);
	}
	if (r < 0)
		access_list_clear(&l);
	else
		*ret = l;
	return r;
}

int access_list_parse(const struct conf_list *files, struct access_list *ret, struct buf *errors)
{
	return parse_list(files, false, ret, errors);
}

int access_list_parse_content(const struct conf_list *files, struct access_list *ret,
			      struct buf *errors)
{
	return parse_list(files, true, ret, errors);
}

void access_list_clear(struct access_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		access_free(l->p[i]);
	free(l->p);
	*l = (struct access_list){0};
}

bool access_list_find(const struct access_list *l, const struct access_key *key, struct arena *a,
		      struct access_hit *ret)
{
	for (size_t i = 0; i < l->n; i++)
		if (access_find(l->p[i], key, a, ret))
			return true;
	return false;
}

int access_check_conf(const struct conf *c, struct buf *errors)
{
	int r = 0;
	for (size_t i = 0; i < conf_settings_n; i++) {
		struct access_list l = {0};
		if (conf_settings[i].type != CONF_TABLES)
			continue;
		const struct conf_list *files =
			(const void *)((const char *)c + conf_settings[i].offset);
		bool content = strcmp(conf_settings[i].section, "content") == 0;
		r = MIN(r, parse_list(files, content, &l, errors));
		access_list_clear(&l);
	}
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables for people, JSON for programs.
 */
#include "base/num.h"
#include "base/utf8.h"
#include "tools/barid/cli.h"
#include <jansson.h>
#include <stdio.h>

/* Columns whose cells are numbers in JSON. */
static const char *const numeric[] = {"index",	  "pid",	"restarts",	 "number",
				      "size",	  "tries",	"port",		 "value",
				      "quota-mb", "used-bytes", "used-messages", "quota-bytes",
				      "id",	  "users",	"aliases"};

static bool is_numeric(struct str column)
{
	for (size_t i = 0; i < ARRAY_LEN(numeric); i++)
		if (str_eq(column, str_c(numeric[i])))
			return true;
	return false;
}

static json_t *value_of(struct str column, struct str cell)
{
	uint64_t v;
	if (is_numeric(column) && num_parse_u64(cell, &v) && v <= INT64_MAX)
		return json_integer((json_int_t)v);
	if (is_numeric(column) && str_eq(cell, STR("-"))) /* there is none */
		return json_null();
	return utf8_valid(cell) ? json_stringn(cell.n ? cell.p : "", cell.n)
				: json_string("(not UTF-8)");
}

static void print_json(const struct cli_table *t)
{
	json_t *all = json_object();
	json_t *rows = json_array();
	for (size_t at = 0; t->n_columns && at + t->n_columns <= t->n_cells; at += t->n_columns) {
		json_t *row = json_object();
		for (size_t i = 0; i < t->n_columns; i++) {
			char name[100];
			(void)snprintf(name, sizeof name, "%.*s", STR_ARG(t->columns[i]));
			(void)json_object_set_new(row, name,
						  value_of(t->columns[i], t->cells[at + i]));
		}
		(void)json_array_append_new(rows, row);
	}
	if (t->n_columns)
		(void)json_object_set_new(all, t->name, rows);
	else
		json_decref(rows);
	if (t->n_figures) {
		json_t *figures = json_object();
		for (size_t i = 0; i < t->n_figures; i++)
			(void)json_object_set_new(figures, t->figures[i].name,
						  json_integer((json_int_t)t->figures[i].value));
		(void)json_object_set_new(all, "figures", figures);
	}
	if (t->message.n)
		(void)json_object_set_new(all, "message", json_stringn(t->message.p, t->message.n));
	char *text = json_dumps(all, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
	(void)puts(text ? text : "{}");
	free(text);
	json_decref(all);
}

/* Characters as a terminal shows them: good enough for names and addresses. */
static size_t width_of(struct str s)
{
	size_t pos = 0, n = 0;
	while (pos < s.n) {
		(void)utf8_next(s, &pos);
		n++;
	}
	return n;
}

static void print_row(const struct str *cells, const size_t *widths, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		(void)printf("%.*s", STR_ARG(cells[i]));
		if (i + 1 < n)
			(void)printf("%*s", (int)(widths[i] - width_of(cells[i]) + 2), "");
	}
	(void)putchar('\n');
}

static void print_table(const struct cli_table *t)
{
	size_t widths[50] = {0};
	size_t n = MIN(t->n_columns, ARRAY_LEN(widths));
	for (size_t i = 0; i < n; i++)
		widths[i] = width_of(t->columns[i]);
	for (size_t i = 0; i < t->n_cells; i++)
		widths[i % n] = MAX(widths[i % n], width_of(t->cells[i]));
	if (n == 1 && t->n_cells == 1) { /* one text: a message, a value */
		(void)printf("%.*s\n", STR_ARG(t->cells[0]));
		return;
	}
	if (t->n_cells)
		print_row(t->columns, widths, n);
	for (size_t at = 0; at + n <= t->n_cells; at += n)
		print_row(&t->cells[at], widths, n);
}

void cli_print(const struct cli *c, const struct cli_table *t)
{
	if (c->json) {
		print_json(t);
		return;
	}
	if (t->n_columns)
		print_table(t);
	if (t->message.n)
		(void)printf("%.*s\n", STR_ARG(t->message));
}

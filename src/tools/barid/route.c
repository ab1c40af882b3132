/* SPDX-License-Identifier: Apache-2.0 */
/*
 * barid route ADDRESS [--sender ADDRESS]: where mail goes, step by step. The directory tells the
 * way as far as it knows it; of a next hop that is a domain, the running server is asked for the
 * mail exchangers that it finds now.
 */
#include "base/arena.h"
#include "base/check.h"
#include "base/vec.h"
#include "tools/barid/cli.h"
#include "tools/barid/orders.h"

#define DOMAINS_MAX 10u

/* Columns of the order `route explain`, and of `dns lookup`. */
enum { STEP, KEY, TABLE, RESULT, COLUMNS };
enum { DNS_OUTCOME = 2, DNS_SECURITY = 3, DNS_RECORD = 5, DNS_COLUMNS = 6 };

struct way {
	const struct cli *cli;
	struct arena a;
	VEC(struct str) cells;
	VEC(struct str) domains; /* whose mail exchangers are asked for */
	struct str asked;	 /* the one at hand */
	struct str reply[COLUMNS];
	int exit_code;
};

static void add_row(struct way *w, const struct str row[COLUMNS])
{
	for (size_t i = 0; i < COLUMNS; i++)
		*vec_push(&w->cells) = arena_str(&w->a, row[i]);
}

/* "MX of example.net, port 2525" */
static void note_domain(struct way *w, struct str result)
{
	struct str domain = result;
	if (!str_starts(result, STR("MX of ")) || w->domains.n == DOMAINS_MAX)
		return;
	domain = str_skip(domain, 6);
	domain = str_sub(domain, 0, str_find(domain, 0, ','));
	for (size_t i = 0; i < w->domains.n; i++)
		if (str_eqi(w->domains.p[i], domain))
			return;
	*vec_push(&w->domains) = arena_str(&w->a, domain);
}

static void take_way(void *context, const struct order_answer *answer)
{
	struct way *w = context;
	const struct cli_table *t = &answer->table;
	if (answer->r < 0 || t->n_columns != COLUMNS) {
		w->exit_code = answer->r < 0 ? orders_complain(answer->why) : EXIT_FAILED;
		return;
	}
	for (size_t i = 0; i + COLUMNS <= t->n_cells; i += COLUMNS) {
		const struct str *row = &t->cells[i];
		bool last = str_eq(row[STEP], STR("reply"));
		for (size_t k = 0; last && k < COLUMNS; k++)
			w->reply[k] = arena_str(&w->a, row[k]);
		if (last)
			continue;
		if (str_eq(row[TABLE], STR("next hop")))
			note_domain(w, row[RESULT]);
		add_row(w, row);
	}
}

static void take_mx(void *context, const struct order_answer *answer)
{
	struct way *w = context;
	const struct cli_table *t = &answer->table;
	if (answer->r < 0 || t->n_columns != DNS_COLUMNS)
		return; /* who may not ask, or cannot, knows as much as before */
	for (size_t i = 0; i + DNS_COLUMNS <= t->n_cells; i += DNS_COLUMNS) {
		const struct str *cell = &t->cells[i];
		bool found = str_eq(cell[DNS_OUTCOME], STR("found"));
		struct str what = found ? cell[DNS_RECORD] : cell[DNS_OUTCOME];
		struct str row[COLUMNS] = {STR("mx"), w->asked, STR("DNS"),
					   arena_printf(&w->a, "%.*s (%.*s)", STR_ARG(what),
							STR_ARG(cell[DNS_SECURITY]))};
		add_row(w, row);
	}
}

static void ask_dns(struct way *w)
{
	int exit_code = 0;
	if (w->domains.n == 0 || !orders_running(w->cli))
		return;
	struct orders *o = orders_open(w->cli, false, &exit_code);
	for (size_t i = 0; o && i < w->domains.n; i++) {
		const struct str words[] = {STR("dns"), STR("lookup"), w->domains.p[i], STR("MX")};
		w->asked = w->domains.p[i];
		orders_give(o, words, ARRAY_LEN(words), take_mx, w);
		orders_wait(o);
	}
	orders_close(o);
}

static int explain(struct way *w)
{
	const struct cli *c = w->cli;
	struct str words[ORDER_WORDS_MAX] = {STR("route"), STR("explain")};
	struct orders *o = orders_open(c, true, &w->exit_code);
	if (!o)
		return w->exit_code;
	for (size_t i = 1; i < c->n; i++)
		words[i + 1] = str_c(c->args[i]);
	w->exit_code = EXIT_DONE;
	orders_give(o, words, c->n + 1, take_way, w);
	orders_close(o);
	return w->exit_code;
}

static void print(struct way *w)
{
	static const struct str columns[] = {{"step", 4}, {"key", 3}, {"table", 5}, {"result", 6}};
	struct cli_table t = {.name = "rows",
			      .columns = columns,
			      .n_columns = COLUMNS,
			      .cells = w->cells.p,
			      .n_cells = w->cells.n};
	cli_print(w->cli, &t);
}

int cli_route(const struct cli *c)
{
	struct way w = {.cli = c, .a = ARENA_INIT(MIB(16))};
	if (c->n < 2 || c->n + 1 > ORDER_WORDS_MAX)
		return cli_usage("route");
	int r = explain(&w);
	if (r == EXIT_DONE) {
		ask_dns(&w);
		add_row(&w, w.reply);
		print(&w);
	}
	vec_clear(&w.cells);
	vec_clear(&w.domains);
	arena_clear(&w.a);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * barid upgrade: the running server goes over to the build that this command belongs to.
 *
 * Exit code: 0 done, 1 refused (nothing has changed) or not finished in time, 3 no server runs.
 */
#include "base/check.h"
#include "base/text.h"
#include "tools/barid/orders.h"
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS	    200
#define PATIENCE_MS 600000 /* migrations of large stores */

struct begun {
	const struct cli *cli;
	int exit_code;
};

struct progress {
	const struct cli *cli;
	bool answered, finished, print;
	size_t old; /* processes of the last generation */
	char last[400];
};

static void print_begun(void *context, const struct order_answer *answer)
{
	struct begun *b = context;
	const struct cli_table *t = &answer->table;
	if (answer->r < 0) {
		(void)orders_complain(answer->why);
		if (answer->r == -FAIL_SYNTAX)
			(void)fputs(
				T("That server cannot be asked by this version. Install this one "
				  "where its program lies, and send SIGUSR2 to it: that "
				  "upgrades, too.\n"),
				stderr);
		b->exit_code = EXIT_FAILED;
		return;
	}
	for (size_t i = 0; answer->code && i < t->n_cells; i++)
		(void)fprintf(stderr, "%.*s\n", STR_ARG(t->cells[i]));
	(void)fprintf(answer->code ? stderr : stdout, "%.*s\n", STR_ARG(t->message));
	(void)fflush(stdout);
	if (answer->code)
		b->exit_code = EXIT_FAILED;
}

static size_t column(const struct cli_table *t, const char *name)
{
	for (size_t i = 0; i < t->n_columns; i++)
		if (str_eq(t->columns[i], str_c(name)))
			return i;
	return 0;
}

/* Processes that are not as they will be, and what one of them is doing. */
static void look_at(struct progress *p, const struct cli_table *t)
{
	size_t state = column(t, "state"), note = column(t, "note");
	for (size_t i = 0; i + t->n_columns <= t->n_cells; i += t->n_columns) {
		const struct str *row = &t->cells[i];
		if (str_eq(row[state], STR("ready")) || str_eq(row[state], STR("draining")))
			continue;
		char line[sizeof p->last];
		(void)snprintf(line, sizeof line, "%.*s %.*s: %.*s %.*s", STR_ARG(row[0]),
			       STR_ARG(row[1]), STR_ARG(row[state]), STR_ARG(row[note]));
		if (strcmp(line, p->last) != 0)
			(void)puts(line);
		(void)snprintf(p->last, sizeof p->last, "%s", line);
	}
	(void)fflush(stdout);
}

static void take_status(void *context, const struct order_answer *answer)
{
	struct progress *p = context;
	if (answer->r < 0 || answer->code)
		return;
	struct str text = answer->table.message;
	p->answered = true;
	p->finished = str_find_str(text, 0, STR(": finished, 0 processes")) < text.n;
	if (p->print)
		look_at(p, &answer->table);
	if (p->finished && p->print)
		(void)printf("%.*s\n", STR_ARG(text));
}

static bool ask_status(const struct cli *c, const char *dir, struct progress *p)
{
	static const struct str words[] = {STR("upgrade"), STR("status")};
	struct orders *o = orders_connect(c, dir);
	if (!o)
		return false;
	orders_give(o, words, ARRAY_LEN(words), take_status, p);
	orders_close(o);
	return p->answered;
}

/* While the new program takes the place of the old one, nobody answers for a moment. */
static int follow(const struct cli *c, const char *dir)
{
	struct progress p = {.cli = c, .print = !c->json};
	struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
	for (unsigned ms = 0; ms < PATIENCE_MS && !p.finished; ms += LOOK_MS) {
		(void)nanosleep(&pause, NULL);
		(void)ask_status(c, dir, &p);
	}
	if (p.finished)
		return EXIT_DONE;
	(void)fputs(T("The upgrade has not finished; see barid upgrade --status and the log.\n"),
		    stderr);
	return EXIT_FAILED;
}

static int print_status(const struct cli *c)
{
	int exit_code = EXIT_DONE;
	struct orders *o = orders_open(c, false, &exit_code);
	struct progress p = {.cli = c, .print = true};
	static const struct str words[] = {STR("upgrade"), STR("status")};
	if (!o)
		return exit_code;
	orders_give(o, words, ARRAY_LEN(words), take_status, &p);
	orders_close(o);
	if (p.answered && !p.finished)
		(void)puts(T("An upgrade is under way."));
	return p.answered ? EXIT_DONE : EXIT_FAILED;
}

int cli_upgrade(const struct cli *c)
{
	char exe[PATH_MAX], libexec[PATH_MAX];
	bool wait = true, status = false;
	for (size_t i = 1; i < c->n; i++) {
		if (strcmp(c->args[i], "--no-wait") == 0)
			wait = false;
		else if (strcmp(c->args[i], "--status") == 0)
			status = true;
		else
			return cli_usage("upgrade");
	}
	if (status)
		return print_status(c);
	if (!realpath("/proc/self/exe", exe) || !realpath(cli_libexec(), libexec)) {
		(void)fputs(T("Cannot find this program's own files: is barid installed "
			      "completely?\n"),
			    stderr);
		return EXIT_FAILED;
	}
	struct begun b = {.cli = c, .exit_code = EXIT_DONE};
	const struct str words[] = {STR("upgrade"), str_c(exe), str_c(libexec)};
	int exit_code = EXIT_DONE;
	struct orders *o = orders_open(c, false, &exit_code);
	if (!o)
		return exit_code;
	orders_give(o, words, ARRAY_LEN(words), print_begun, &b);
	orders_close(o);
	if (b.exit_code != EXIT_DONE || !wait)
		return b.exit_code;
	return follow(c, cli_state_dir(c));
}

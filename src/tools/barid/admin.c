/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One order on the command line.
 */
#include "base/check.h"
#include "base/text.h"
#include "tools/barid/cli.h"
#include "tools/barid/orders.h"
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/* --- passwords that are not given as an argument
 * ---------------------------------------------------------------------------- */

static char *ask_password(void)
{
	struct termios before, quiet;
	static char line[1100];
	bool terminal = tcgetattr(STDIN_FILENO, &before) == 0;
	if (terminal) {
		(void)fputs(T("New password: "), stderr);
		quiet = before;
		quiet.c_lflag &= (tcflag_t)~ECHO;
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &quiet);
	}
	char *got = fgets(line, sizeof line, stdin);
	if (terminal) {
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
		(void)fputc('\n', stderr);
	}
	if (!got)
		return NULL;
	line[strcspn(line, "\r\n")] = '\0';
	return line[0] ? line : NULL;
}

/* Words that no order of this kind has are a mistake, not something to pass over. */
static bool fits(const struct cli *c)
{
	static const char *const bare[] = {"status", "ports", "counters", "reload", "stop"};
	for (size_t i = 0; i < ARRAY_LEN(bare); i++)
		if (strcmp(c->args[0], bare[i]) == 0)
			return c->n == 1;
	return true;
}

struct result {
	const struct cli *cli;
	int exit_code;
};

static const char *rows_name(const struct cli *c)
{
	const char *command = c->args[0];
	if (strcmp(command, "status") == 0)
		return "roles";
	return strcmp(command, "ports") == 0 ? "ports" : "rows";
}

/* A refusal with its reasons, one a row. */
static void print_refusal(struct result *r, const struct cli_table *t)
{
	r->exit_code = EXIT_FAILED;
	if (r->cli->json) {
		cli_print(r->cli, t);
		return;
	}
	for (size_t i = 0; i < t->n_cells; i++)
		(void)fprintf(stderr, "%.*s\n", STR_ARG(t->cells[i]));
	(void)fprintf(stderr, "%.*s\n", STR_ARG(t->message));
}

static void print_answer(void *context, const struct order_answer *answer)
{
	struct result *r = context;
	if (answer->r < 0) {
		r->exit_code = orders_complain(answer->why);
		return;
	}
	struct cli_table t = answer->table;
	t.name = rows_name(r->cli);
	if (answer->code) {
		print_refusal(r, &t);
		return;
	}
	cli_print(r->cli, &t);
}

static bool is_account_order(const char *command)
{
	static const char *const nouns[] = {"domain",  "user", "alias",	  "admin",    "master",
					    "forward", "bcc",  "send-as", "relayhost"};
	for (size_t i = 0; i < ARRAY_LEN(nouns); i++)
		if (strcmp(command, nouns[i]) == 0)
			return true;
	return false;
}

static bool adds_from_file(const struct cli *c)
{
	return c->n > 2 && strcmp(c->args[0], "user") == 0 && strcmp(c->args[1], "add") == 0 &&
	       strcmp(c->args[2], "--file") == 0;
}

/* A name for a relay host comes with a password, which is not for the command line. */
static bool logs_in(const struct cli *c)
{
	if (c->n < 3 || strcmp(c->args[0], "relayhost") != 0 ||
	    (strcmp(c->args[1], "set") != 0 && strcmp(c->args[1], "login") != 0))
		return false;
	for (size_t i = 2; i < c->n; i++)
		if (strcmp(c->args[i], "--user") == 0 || strncmp(c->args[i], "--user=", 7) == 0)
			return true;
	return false;
}

int cli_admin(const struct cli *given)
{
	struct cli c = *given;
	if (adds_from_file(&c))
		return cli_user_file(&c);
	if (c.n == 3 && (strcmp(c.args[0], "user") == 0 || strcmp(c.args[0], "master") == 0) &&
	    strcmp(c.args[1], "passwd") == 0) {
		char *password = ask_password();
		if (!password) {
			(void)fputs(T("No password was given: nothing changed.\n"), stderr);
			return EXIT_FAILED;
		}
		c.args[c.n++] = password; /* there is room for one more */
	}
	static char secret[1200];
	if (logs_in(&c)) {
		char *password = ask_password();
		if (!password) {
			(void)fputs(T("No password was given: nothing changed.\n"), stderr);
			return EXIT_FAILED;
		}
		(void)snprintf(secret, sizeof secret, "--password=%s", password);
		c.args[c.n++] = secret;
	}
	if (!fits(&c))
		return cli_usage(c.args[0]);
	if (c.n > ORDER_WORDS_MAX) {
		(void)fputs(T("Too many words for one order.\n"), stderr);
		return EXIT_USAGE;
	}
	int exit_code = EXIT_DONE;
	struct orders *o = orders_open(&c, is_account_order(c.args[0]), &exit_code);
	if (!o)
		return exit_code;
	struct str words[ORDER_WORDS_MAX];
	for (size_t i = 0; i < c.n; i++)
		words[i] = str_c(c.args[i]);
	struct result result = {.cli = &c};
	orders_give(o, words, c.n, print_answer, &result);
	orders_close(o);
	return result.exit_code;
}

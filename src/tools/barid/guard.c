/* SPDX-License-Identifier: Apache-2.0 */
/*
 * barid guard list | allow ADDRESS [off]
 * barid guard release ADDRESS             it was the owner: its mail goes out
 * barid guard reject ADDRESS [--disable]  it was not: its mail is deleted, the account switched off
 *
 * The guard knows the account, the queue has its mail: one order each.
 */
#include "base/text.h"
#include "tools/barid/tool.h"
#include <stdio.h>
#include <string.h>

#define REASON "take-over guard" /* how the reasons of service/guard begin */

static int no_rows(void *arg, const struct str *cells, size_t n)
{
	(void)arg;
	(void)cells;
	(void)n;
	return 0;
}

static int order(const struct cli *c, const char *dir, const char *const *words, size_t n)
{
	struct fail why = FAIL_INIT;
	return tool_order(dir, c->as, words, n, no_rows, NULL, &why) < 0 ? tool_complain(&why)
									 : EXIT_DONE;
}

static int decide(const struct cli *c, const char *address, bool release, bool disable)
{
	const char *dir = cli_state_dir(c);
	const char *off[] = {"user", "set", address, "--active", "no"};
	const char *guard[] = {"guard", release ? "release" : "reject", address};
	const char *queue[] = {"queue",	    release ? "release" : "delete",
			       "--account", address,
			       "--state",   "held",
			       "--text",    REASON};
	if (!dir)
		return EXIT_FAILED;
	/* Rejected, it stays held until nothing of it can come any more. */
	int r = release ? order(c, dir, guard, ARRAY_LEN(guard)) : EXIT_DONE;
	if (r == EXIT_DONE)
		r = order(c, dir, queue, ARRAY_LEN(queue));
	if (r == EXIT_DONE && disable)
		r = order(c, dir, off, ARRAY_LEN(off));
	if (r == EXIT_DONE && !release)
		r = order(c, dir, guard, ARRAY_LEN(guard));
	if (r == EXIT_DONE)
		(void)puts(release ? T("Released: its mail goes out, and whom it wrote to is known "
				       "from now on.")
			   : disable ? T("Rejected: its mail is deleted, and the account is "
					 "switched off.")
				     : T("Rejected: its mail is deleted. Give the account another "
					 "password: `barid user passwd`."));
	return r;
}

int cli_guard(const struct cli *c)
{
	const char *verb = c->n > 1 ? c->args[1] : "";
	bool release = strcmp(verb, "release") == 0, reject = strcmp(verb, "reject") == 0;
	bool disable = reject && c->n == 4 && strcmp(c->args[3], "--disable") == 0;
	if (!release && !reject)
		return cli_admin(c);
	if (c->n != 3 && !disable)
		return cli_usage("guard");
	return decide(c, c->args[2], release, disable);
}

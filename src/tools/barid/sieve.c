/* SPDX-License-Identifier: Apache-2.0 */
/*
 * barid sieve check|test ...: done by a program of its own (tools/sieve), which may read hostile
 * bytes.
 */
#include "base/arena.h"
#include "base/text.h"
#include "tools/barid/cli.h"
#include <stdio.h>
#include <unistd.h>

static int start_tool(const struct cli *c)
{
	AUTO(arena) struct arena a = ARENA_INIT(KIB(64));
	char **argv = arena_array(&a, char *, c->n + 3);
	char *path = arena_c(&a, arena_printf(&a, "%s/barid-sieve", cli_libexec()));
	size_t n = 0;
	if (!argv || !path)
		return EXIT_FAILED;
	argv[n++] = path;
	for (size_t i = 1; i < c->n; i++)
		argv[n++] = c->args[i];
	if (c->json)
		argv[n++] = arena_c(&a, STR("--json"));
	(void)execv(path, argv);
	(void)fprintf(stderr, T("Cannot start %s: %m\n"), path);
	return EXIT_FAILED;
}

int cli_sieve(const struct cli *c)
{
	if (c->n > 1 && (strcmp(c->args[1], "check") == 0 || strcmp(c->args[1], "test") == 0))
		return start_tool(c);
	return cli_usage("sieve");
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * barid - master and command line in one program. The only place that sees every layer.
 */
#include "base/check.h"
#include "roles/master/master.h"
#include "tools/barid/cli.h"
#include <stdio.h>

static int run_master(struct conf *conf, bool say_ready)
{
	struct master_options o = {.conf = conf, .libexec = cli_libexec(), .say_ready = say_ready};
	return master_run(&o);
}

int main(int argc, char **argv)
{
	struct cli c;
	struct conf *conf = NULL;
	if (!cli_parse(argc, argv, &c))
		return EXIT_USAGE;
	const char *command = c.n ? c.args[0] : "help";
	if (strcmp(command, "help") == 0 || strcmp(command, "--help") == 0 ||
	    strcmp(command, "-h") == 0)
		return cli_help(&c);
	if (strcmp(command, "version") == 0 || strcmp(command, "--version") == 0)
		return puts("barid " BARID_VERSION) < 0;
	bool demo = strcmp(command, "demo") == 0;
	if (demo || strcmp(command, "serve") == 0) {
		int r = demo ? cli_demo(&c, &conf) : cli_serve(&c, &conf);
		return r == EXIT_DONE ? run_master(conf, true) : r;
	}
	return cli_run(&c);
}

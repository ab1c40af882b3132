/* SPDX-License-Identifier: Apache-2.0 */
/*
 * barid - master and command line in one program. The only place that sees every layer.
 */
#include "base/check.h"
#include "base/num.h"
#include "base/text.h"
#include "roles/master/master.h"
#include "tools/barid/cli.h"
#include <stdio.h>

static int run_master(struct conf *conf, const char *path)
{
	struct master_options o = {
		.conf = conf, .conf_path = path, .libexec = cli_libexec(), .say_ready = true};
	text_set_language(NULL); /* the log is in one language, whoever started it */
	return master_run(&o);
}

int main(int argc, char **argv)
{
	struct cli c;
	struct conf *conf = NULL;
	text_set_language_from_environment();
	if (!cli_parse(argc, argv, &c))
		return EXIT_USAGE;
	if (c.json)
		text_set_language(NULL); /* answers for programs are the same everywhere */
	const char *command = c.n ? c.args[0] : "help";
	if (strcmp(command, "help") == 0 || strcmp(command, "--help") == 0 ||
	    strcmp(command, "-h") == 0)
		return cli_help(&c);
	if (strcmp(command, "version") == 0 || strcmp(command, "--version") == 0)
		return puts("barid " BARID_VERSION) < 0;
	uint32_t fd = 0;
	if (strcmp(command, "adopt") == 0 && c.n == 2 && num_parse_u32(str_c(c.args[1]), &fd))
		return master_adopt((int)fd);
	if (strcmp(command, "self-check") == 0 && c.n == 3 && num_parse_u32(str_c(c.args[1]), &fd))
		return master_self_check((int)fd, c.args[2]);
	bool demo = strcmp(command, "demo") == 0;
	if (demo || strcmp(command, "serve") == 0) {
		const char *path = c.conf;
		int r = demo ? cli_demo(&c, &conf, &path) : cli_serve(&c, &conf);
		return r == EXIT_DONE ? run_master(conf, path) : r;
	}
	return cli_run(&c);
}

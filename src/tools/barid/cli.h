/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli.h - the command line: parts that its commands share.                            [tools]
 *
 * Exit codes: 0 done, 1 refused or failed (the reason is on standard error), 2 wrong usage,
 * 3 the server is not running (where it has to), 4 done, but something was damaged or unreadable.
 */
#ifndef BARID_TOOLS_BARID_CLI_H
#define BARID_TOOLS_BARID_CLI_H

#include "base/fail.h"
#include "base/str.h"
#include "runtime/conf.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_NOT_RUNNING = 3, EXIT_INCOMPLETE = 4 };

#define CLI_CONF_DEFAULT "/etc/barid/barid.conf"

struct cli {
	const char *dir;  /* --dir or BARID_DIR; NULL: state_dir of the configuration */
	const char *conf; /* -c */
	const char *as;	  /* --as: act with this administrator's rights; NULL: everything */
	bool json;
	/* The words that are left, the command first. */
	char **args;
	size_t n;
};

/* In which language an answer is wanted: programs get English. */
struct str cli_language(const struct cli *c);
/* Take the options that every command has out of argv. False (and a message) when one is
 * incomplete. */
bool cli_parse(int argc, char **argv, struct cli *ret);
/* The state folder, from --dir or the configuration. NULL (and a message) when there is none. */
const char *cli_state_dir(const struct cli *c);
/* The control socket of the server in `dir`; -1 and errno when nobody serves it. */
int cli_connect(const char *dir);
int cli_usage(const char *command);
int cli_run(const struct cli *c); /* the command that args[0] names */
int cli_help(const struct cli *c);

struct cli_figure {
	const char *name;
	uint64_t value;
};

/* A finished order: what to print. Columns and cells are borrowed. */
struct cli_table {
	const char *name; /* key of the rows in JSON */
	const struct str *columns;
	size_t n_columns;
	const struct str *cells;
	size_t n_cells;
	struct str message;
	const struct cli_figure *figures; /* beside the rows, in JSON only */
	size_t n_figures;
};
void cli_print(const struct cli *c, const struct cli_table *t);

/* Commands. Each returns an exit code. */
int cli_admin(const struct cli
		      *c); /* everything that a running server (or the accounts database) answers */
int cli_user_file(const struct cli *c); /* user add --file FILE */
int cli_quota(const struct cli *c);
int cli_acl(const struct cli *c);
int cli_guard(const struct cli *c);
int cli_status(const struct cli *c);
int cli_ports(const struct cli *c);
int cli_doctor(const struct cli *c);
int cli_trace(const struct cli *c);
int cli_backup(const struct cli *c);
int cli_restore(const struct cli *c);
int cli_import(const struct cli *c);
int cli_export(const struct cli *c);
int cli_search_index(const struct cli *c);
int cli_undelete(const struct cli *c);
int cli_check(const struct cli *c);
int cli_upgrade(const struct cli *c);
int cli_init(const struct cli *c);
int cli_route(const struct cli *c);
int cli_dns(const struct cli *c);
int cli_sieve(const struct cli *c);
int cli_serve(const struct cli *c,
	      struct conf **ret); /* loads the configuration; EXIT_DONE to go on */
/* Prepares the demo and writes its configuration, DIR/demo.conf; EXIT_DONE to go on. */
int cli_demo(const struct cli *c, struct conf **ret, const char **ret_path);
/* Folder of the role executables: BARID_LIBEXEC, libexec beside this program, or where it is
 * installed. */
const char *cli_libexec(void);

/* Append a small file to `out`, whose maximum is the limit. */
MUST_CHECK int cli_read_file(const char *path, struct buf *out, struct fail *why);

/* A self-signed certificate for `name`, P-256, ten years, as two files. */
MUST_CHECK int cert_make(const char *name, const char *cert_path, const char *key_path,
			 struct fail *why);

#endif

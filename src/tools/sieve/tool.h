/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tool.h - barid-sieve: look at scripts and try them, without a server.                  [tools]
 *
 * An own program, which `barid sieve check` and `barid sieve test` start: it reads hostile bytes
 * and loads ICU, and barid itself, which starts the server, does neither.
 */
#ifndef BARID_TOOLS_SIEVE_TOOL_H
#define BARID_TOOLS_SIEVE_TOOL_H

#include "codec/sieve/sieve_run.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };
#define NAMES_MAX 32

struct words {
	const char *files[NAMES_MAX];
	size_t n_files;
	bool json, program, extensions, quiet, time;
	const char *from, *to, *scripts, *global, *spam, *virus, *now, *seen;
	const char *mailboxes[NAMES_MAX];
	size_t n_mailboxes;
};

/* Take the arguments behind the verb. False, and a message, when they are wrong. */
bool words_take(int argc, char **argv, struct words *ret);
/* A file, or standard input for "-". False, and a message, when it cannot be read. */
bool read_file(const char *path, struct buf *out);

/* Compile the text of @path in @arena. False, and notes on standard error, when it has errors. */
bool compile_file(const char *path, struct arena *arena, struct str *ret);
int check_scripts(const struct words *w);
int test_script(const struct words *w);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sieve.h - mail filters: from a script to a program.                          [codec, pure]
 *
 * RFC 5228 and the extensions of sieve_ext.h. A script is compiled once, when it is stored; the
 * program is a blob that may be kept anywhere, because sieve_program_open looks at every byte of it
 * before it runs. sieve_run.h runs it.
 *
 *     r = sieve_compile(script, &options, &arena, &notes, &blob);
 *     notes.p[i]   what is wrong (SIEVE_ERROR) or doubtful (SIEVE_WARNING), in order of lines
 *
 * Nothing that a script holds makes the compiler use more than its limits. Thread: any.
 */
#ifndef BARID_CODEC_SIEVE_H
#define BARID_CODEC_SIEVE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/fail.h"
#include "base/str.h"

/* Bounds of a script. */
struct sieve_limits {
	size_t script_bytes;
	size_t program_bytes;
	uint32_t depth;	 /* of blocks, and of tests in tests */
	uint32_t nodes;	 /* commands and tests */
	uint32_t values; /* strings, in all */
	uint32_t redirects;
	uint32_t notes; /* errors and warnings that are told; more are not */
};
#define SIEVE_LIMITS_DEFAULT                                                                       \
	((struct sieve_limits){.script_bytes = MIB(1),                                             \
			       .program_bytes = MIB(4),                                            \
			       .depth = 32,                                                        \
			       .nodes = 20000,                                                     \
			       .values = 100000,                                                   \
			       .redirects = 30,                                                    \
			       .notes = 50})

enum sieve_severity { SIEVE_ERROR, SIEVE_WARNING };

struct sieve_note {
	enum sieve_severity severity;
	uint32_t line; /* from 1 */
	uint32_t column;
	struct str text; /* a sentence: what it is, and what to do */
};
struct sieve_notes {
	struct sieve_note *p;
	size_t n;
	size_t errors; /* also those that are not told */
};

/*
 * Regular expressions (POSIX extended) come from outside, because this layer is pure: sys/regex.h
 * in barid. Subject and expression are UTF-8. NULL functions: `regex` is not announced.
 */
#define SIEVE_GROUPS 10
struct sieve_regex_ops {
	/* Is this an expression? -FAIL_SYNTAX with what is wrong in why->detail. */
	int (*make)(void *ctx, struct str pattern, bool caseless, void **ret, struct fail *why);
	void (*free)(void *ctx, void *re);
	/* 1, 0, or -FAIL_LIMIT; groups that took no part are NULL. */
	int (*match)(void *ctx, const void *re, struct str subject,
		     struct str groups[SIEVE_GROUPS]);
	void *ctx;
};

struct sieve_options {
	const struct sieve_limits *limits;   /* NULL: the defaults */
	const struct sieve_regex_ops *regex; /* may be NULL */
	const struct sieve_extra *extra;     /* commands of a test tool; may be NULL */
	uint64_t without;		     /* extensions (bits) that are not offered */
	bool (*script_exists)(void *ctx, bool global, struct str name); /* may be NULL */
	void *ctx;
};

/*
 * Compile. Notes and program live in @arena. Returns 0, -FAIL_SYNTAX when the notes hold an error,
 * or -FAIL_LIMIT (of which a note tells, too, unless it is the arena that is full: four times the
 * limits of script and program are always enough).
 */
MUST_CHECK int sieve_compile(struct str script, const struct sieve_options *options,
			     struct arena *arena, struct sieve_notes *notes, struct str *ret,
			     struct fail *why);

/* A program that can run; borrows from the blob. */
struct sieve_program {
	struct str strings; /* table: offset and length of each, u32 */
	struct str lists;   /* u32 each: a number, and so many strings */
	struct str code;
	struct str text;
	uint64_t extensions; /* required */
	uint32_t n_strings;
	const struct sieve_extra *extra;
};
#define SIEVE_PROGRAM_VERSION 1

/*
 * Look at a stored program. -FAIL_CORRUPT: this is none (a bit is wrong, or somebody made it to do
 * harm); -FAIL_UNSUPPORTED: of another version, compile the script again.
 */
MUST_CHECK int sieve_program_open(struct str blob, const struct sieve_extra *extra,
				  struct sieve_program *ret, struct fail *why);

/* The program as text, one instruction a line, for tests and the curious. */
void sieve_program_write(const struct sieve_program *p, struct buf *out);

/* The names that `require` knows, separated by blanks, as ManageSieve's SIEVE line wants them. */
void sieve_extensions_write(uint64_t without, struct buf *out);

#endif

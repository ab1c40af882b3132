/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sieve_blob.h - the bytes of a program.                               [codec/sieve, internal]
 *
 * "BSIV", version (u8), extensions (u64), then the sizes (u32) of four pieces, and the pieces:
 *   strings  offset in the text and length, u32 each; BLOB_VARIABLES in a length says that the
 *	      string holds variables
 *   lists    u32: how many, then so many numbers of strings; a list's number is where its count
 *	      stands, in u32s
 *   code     instructions (sieve_int.h), the last one is OP_END
 *   text     the bytes of the strings
 */
#ifndef BARID_CODEC_SIEVE_BLOB_H
#define BARID_CODEC_SIEVE_BLOB_H

#include "base/num.h"
#include "codec/sieve/sieve_int.h"

#define BLOB_MAGIC     "BSIV"
#define BLOB_HEAD      29
#define BLOB_VARIABLES (UINT32_C(1) << 31)

static inline uint32_t blob_u32(struct str s, size_t at)
{
	struct cursor c = cursor_of(str_sub(s, at, at + 4));
	return cursor_u32(&c);
}

struct sieve_value {
	uint64_t number; /* or the number of a string or list */
	uint8_t a, b;	 /* match and relation, comparator, part */
};
struct sieve_args {
	const struct sieve_spec *spec;
	uint32_t line;
	uint64_t present;
	struct sieve_value v[S_COUNT]; /* of slots that are present; others hold anything */
};

struct sieve_instruction {
	uint8_t op;
	uint32_t line;
	uint32_t number;
	size_t next;		 /* the place behind it */
	struct sieve_args *args; /* of OP_SPEC and more; filled in */
};

/* Read the instruction at @at into *in; in->args is given. False: there is none. */
bool sieve_instruction_read(const struct sieve_program *p, size_t at, struct sieve_instruction *in);

/* String @id of the table; *ret_variables (may be NULL): it holds variables. */
struct str sieve_program_string(const struct sieve_program *p, uint32_t id, bool *ret_variables);
static inline uint32_t sieve_list_n(const struct sieve_program *p, uint64_t list)
{
	return blob_u32(p->lists, (size_t)list * 4);
}
static inline uint32_t sieve_list_at(const struct sieve_program *p, uint64_t list, uint32_t i)
{
	return blob_u32(p->lists, ((size_t)list + 1 + i) * 4);
}

#endif

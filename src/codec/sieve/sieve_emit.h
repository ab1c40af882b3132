/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sieve_emit.h - the compiler's writing side.                          [codec/sieve, internal]
 */
#ifndef BARID_CODEC_SIEVE_EMIT_H
#define BARID_CODEC_SIEVE_EMIT_H

#include "codec/sieve/sieve_int.h"

void emit_op(struct sieve_compiler *c, uint8_t op, uint32_t line);
/* With a number; returns where the number stands. */
uint32_t emit_number(struct sieve_compiler *c, uint8_t op, uint32_t line, uint32_t number);
void emit_spec(struct sieve_compiler *c, const struct sieve_node *n, uint8_t op,
	       const struct sieve_spec *spec, const struct sieve_bound *b);

/*
 * Jumps whose end is not known yet make a chain: each holds the place of the one before.
 * emit_jump adds one to *chain, emit_here lets all of them lead to this place.
 */
void emit_jump(struct sieve_compiler *c, uint8_t op, uint32_t line, uint32_t *chain);
void emit_here(struct sieve_compiler *c, uint32_t chain);

/* Bind the arguments of @n to the slots of *b (sieve_bind.c); what does not fit is noted. */
void sieve_bind(struct sieve_compiler *c, const struct sieve_node *n, const struct sieve_spec *spec,
		struct sieve_bound *b);

/* The blob; -FAIL_LIMIT when anything was too large. */
MUST_CHECK int emit_blob(struct sieve_compiler *c, struct str *ret);

#endif

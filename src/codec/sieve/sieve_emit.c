/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/sieve/sieve_emit.h"
#include "codec/sieve/sieve_blob.h"

void emit_op(struct sieve_compiler *c, uint8_t op, uint32_t line)
{
	(void)buf_put_u8(&c->code, op);
	(void)buf_put_u32(&c->code, line);
}

uint32_t emit_number(struct sieve_compiler *c, uint8_t op, uint32_t line, uint32_t number)
{
	emit_op(c, op, line);
	uint32_t at = (uint32_t)c->code.n;
	(void)buf_put_u32(&c->code, number);
	return at;
}

void emit_jump(struct sieve_compiler *c, uint8_t op, uint32_t line, uint32_t *chain)
{
	*chain = emit_number(c, op, line, *chain);
}

void emit_here(struct sieve_compiler *c, uint32_t chain)
{
	while (chain && !c->code.failed) {
		struct cursor at = cursor_of(str_sub(buf_str(&c->code), chain, chain + 4));
		uint32_t before = cursor_u32(&at);
		for (unsigned i = 0; i < 4; i++)
			c->code.p[chain + i] = (char)(unsigned char)(c->code.n >> (8 * i));
		chain = before;
	}
}

/* The number of a string in the table; equal ones are there once. */
static uint32_t string_id(struct sieve_compiler *c, struct str s)
{
	void *known = strmap_get(&c->ids, s);
	if (known)
		return (uint32_t)(uintptr_t)known - 1;
	uint32_t n = (uint32_t)s.n;
	(void)buf_put_u32(&c->table, (uint32_t)c->text.n);
	(void)buf_put_u32(&c->table, sieve_is_constant(c, s) ? n : n | BLOB_VARIABLES);
	(void)buf_add(&c->text, s);
	(void)strmap_put(&c->ids, s, (void *)(uintptr_t)(c->n_strings + 1));
	return c->n_strings++;
}

static uint32_t list_id(struct sieve_compiler *c, const struct sieve_arg *a)
{
	uint32_t id = (uint32_t)(c->lists.n / 4);
	(void)buf_put_u32(&c->lists, (uint32_t)a->n);
	for (size_t i = 0; i < a->n; i++)
		(void)buf_put_u32(&c->lists, string_id(c, a->strings[i]));
	return id;
}

void emit_spec(struct sieve_compiler *c, const struct sieve_node *n, uint8_t op,
	       const struct sieve_spec *spec, const struct sieve_bound *b)
{
	emit_op(c, op, n->line);
	(void)buf_put_u64(&c->code, b->present);
	for (unsigned s = 0; s < S_COUNT; s++) {
		if (!(b->present & S_BIT(s)))
			continue;
		switch (sieve_slot_type(spec, s)) {
		case SLOT_NUMBER:
			(void)buf_put_u64(&c->code, b->arg[s]->number);
			break;
		case SLOT_STRING:
			(void)buf_put_u32(&c->code, string_id(c, b->arg[s]->strings[0]));
			break;
		case SLOT_LIST:
			(void)buf_put_u32(&c->code, list_id(c, b->arg[s]));
			break;
		case SLOT_MATCH:
			(void)buf_put_u8(&c->code, b->match);
			(void)buf_put_u8(&c->code, b->relation);
			break;
		case SLOT_COMPARATOR:
			(void)buf_put_u8(&c->code, b->comparator);
			break;
		case SLOT_PART:
			(void)buf_put_u8(&c->code, b->part);
			break;
		default:
			break;
		}
	}
}

int emit_blob(struct sieve_compiler *c, struct str *ret)
{
	AUTO(buf) struct buf b = BUF_INIT(c->parser.limits.program_bytes);
	(void)buf_add(&b, STR(BLOB_MAGIC));
	(void)buf_put_u8(&b, SIEVE_PROGRAM_VERSION);
	(void)buf_put_u64(&b, c->mentioned);
	(void)buf_put_u32(&b, (uint32_t)c->table.n);
	(void)buf_put_u32(&b, (uint32_t)c->lists.n);
	(void)buf_put_u32(&b, (uint32_t)c->code.n);
	(void)buf_put_u32(&b, (uint32_t)c->text.n);
	(void)buf_add(&b, buf_str(&c->table));
	(void)buf_add(&b, buf_str(&c->lists));
	(void)buf_add(&b, buf_str(&c->code));
	(void)buf_add(&b, buf_str(&c->text));
	if (b.failed || c->table.failed || c->lists.failed || c->code.failed || c->text.failed)
		return -FAIL_LIMIT;
	struct str copy = arena_str(c->parser.lex.arena, buf_str(&b));
	if (!copy.p)
		return -FAIL_LIMIT;
	*ret = copy;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/sieve/sieve_blob.h"

struct str sieve_program_string(const struct sieve_program *p, uint32_t id, bool *ret_variables)
{
	uint32_t off = blob_u32(p->strings, (size_t)id * 8);
	uint32_t n = blob_u32(p->strings, (size_t)id * 8 + 4);
	if (ret_variables)
		*ret_variables = n & BLOB_VARIABLES;
	n &= ~BLOB_VARIABLES;
	return str_make(p->text.p + off, n);
}

/* One value of a slot. False: it leads out of its table. */
static bool read_value(const struct sieve_program *p, struct cursor *c, uint8_t type,
		       struct sieve_value *v)
{
	*v = (struct sieve_value){0};
	switch (type) {
	case SLOT_NUMBER:
		v->number = cursor_u64(c);
		return true;
	case SLOT_STRING:
		v->number = cursor_u32(c);
		return v->number < p->n_strings;
	case SLOT_LIST:
		v->number = cursor_u32(c);
		return v->number < p->lists.n / 4 &&
		       sieve_list_n(p, v->number) < p->lists.n / 4 - v->number;
	case SLOT_MATCH:
		v->a = cursor_u8(c);
		v->b = cursor_u8(c);
		return v->a < MATCH_END && v->b < REL_END;
	case SLOT_COMPARATOR:
		v->a = cursor_u8(c);
		return v->a < CMP_END;
	case SLOT_PART:
		v->a = cursor_u8(c);
		return v->a < PART_END;
	default:
		return true;
	}
}

static bool read_args(const struct sieve_program *p, struct cursor *c, struct sieve_args *a)
{
	size_t positional = strlen(a->spec->positional);
	uint64_t may = a->spec->slots, must = 0;
	for (unsigned i = 0; i < positional; i++) {
		may |= S_BIT(S_P1 + i);
		if (a->spec->positional[i] >= 'a')
			must |= S_BIT(S_P1 + i);
	}
	a->present = cursor_u64(c);
	if (a->present & ~may || must & ~a->present)
		return false;
	for (uint64_t left = a->present; left; left &= left - 1) {
		unsigned s = (unsigned)__builtin_ctzll(left);
		if (!read_value(p, c, sieve_slot_type(a->spec, s), &a->v[s]))
			return false;
	}
	return true;
}

bool sieve_instruction_read(const struct sieve_program *p, size_t at, struct sieve_instruction *in)
{
	struct cursor c = cursor_of(str_skip(p->code, at));
	in->op = cursor_u8(&c);
	in->line = cursor_u32(&c);
	in->number = 0;
	if (op_has_number(in->op)) {
		in->number = cursor_u32(&c);
	} else if (in->op >= OP_SPEC) {
		in->args->spec = sieve_spec_of(in->op, p->extra);
		in->args->line = in->line;
		if (!in->args->spec || !read_args(p, &c, in->args))
			return false;
	} else if (in->op > OP_BLOCK_END) {
		return false;
	}
	in->next = p->code.n - cursor_left(&c);
	return !c.bad;
}

static bool strings_ok(const struct sieve_program *p)
{
	for (uint32_t i = 0; i < p->n_strings; i++) {
		uint64_t off = blob_u32(p->strings, (size_t)i * 8);
		uint64_t n = blob_u32(p->strings, (size_t)i * 8 + 4) & ~BLOB_VARIABLES;
		if (off + n > p->text.n)
			return false;
	}
	/* Whole lists, from the first on; code_ok sees to it that code names their beginnings. */
	for (size_t at = 0; at < p->lists.n / 4;) {
		size_t n = sieve_list_n(p, at);
		if (n >= p->lists.n / 4 - at)
			return false;
		for (uint32_t i = 0; i < n; i++)
			if (sieve_list_at(p, at, i) >= p->n_strings)
				return false;
		at += n + 1;
	}
	return true;
}

/* Bits of a set of places. */
static bool bit(const unsigned char *set, size_t i)
{
	return set[i / 8] & 1u << i % 8;
}
static void mark(unsigned char *set, size_t i)
{
	set[i / 8] = (unsigned char)(set[i / 8] | 1u << i % 8);
}

static void list_starts(const struct sieve_program *p, unsigned char *set)
{
	for (size_t at = 0; at < p->lists.n / 4; at += sieve_list_n(p, at) + 1)
		mark(set, at);
}

static bool lists_ok(const struct sieve_args *a, const unsigned char *lists)
{
	for (uint64_t left = a->present; left; left &= left - 1) {
		unsigned s = (unsigned)__builtin_ctzll(left);
		if (sieve_slot_type(a->spec, s) == SLOT_LIST && !bit(lists, (size_t)a->v[s].number))
			return false;
	}
	return true;
}

/* Loops and blocks stand within each other, and each place leads to an instruction further on in
 * the same loop or block, or right behind it. */
struct nest {
	uint32_t end;
	uint8_t op;
};
#define NEST_MAX 64

static bool code_ok(const struct sieve_program *p, unsigned char *starts, unsigned char *lists)
{
	struct sieve_args args;
	struct sieve_instruction in = {.args = &args};
	struct nest nest[NEST_MAX];
	size_t depth = 0, at = 0, furthest = 0;
	while (at < p->code.n) {
		if (!sieve_instruction_read(p, at, &in))
			return false;
		mark(starts, at);
		if (op_is_place(in.op) && (in.number < in.next || in.number >= p->code.n))
			return false;
		if (op_is_place(in.op) && depth && in.number >= nest[depth - 1].end)
			return false;
		furthest = op_is_place(in.op) ? MAX(furthest, in.number) : furthest;
		if (in.op == OP_LOOP || in.op == OP_BLOCK) {
			if (depth == NEST_MAX)
				return false;
			nest[depth++] = (struct nest){in.number, in.op};
		}
		if (in.op == OP_NEXT || in.op == OP_BLOCK_END) {
			uint8_t begin = in.op == OP_NEXT ? OP_LOOP : OP_BLOCK;
			if (depth == 0 || nest[depth - 1].op != begin ||
			    nest[depth - 1].end != in.next)
				return false;
			depth--;
		}
		if (in.op == OP_BREAK && (in.number == 0 || in.number > depth))
			return false;
		if (in.op >= OP_SPEC && !lists_ok(&args, lists))
			return false;
		at = in.next;
		if (in.op == OP_END)
			break;
	}
	return in.op == OP_END && at == p->code.n && depth == 0 && furthest < p->code.n;
}

/* A place that a jump names has to be the start of an instruction. (That it may lie inside of a
 * loop which the jump is not in does no harm: the interpreter looks at its own stack of loops.) */
static bool places_ok(const struct sieve_program *p, const unsigned char *starts)
{
	struct sieve_args args;
	struct sieve_instruction in = {.args = &args};
	for (size_t at = 0; at < p->code.n; at = in.next) {
		if (!sieve_instruction_read(p, at, &in) ||
		    (op_is_place(in.op) && !bit(starts, in.number)))
			return false;
	}
	return true;
}

static bool cut(struct str *rest, size_t n, struct str *ret)
{
	if (n > rest->n)
		return false;
	*ret = str_sub(*rest, 0, n);
	*rest = str_skip(*rest, n);
	return true;
}

static int corrupt(struct fail *why, const char *what)
{
	return fail_set(why, FAIL_CORRUPT, NULL, "this is no program of a filter: %s", what);
}

int sieve_program_open(struct str blob, const struct sieve_extra *extra, struct sieve_program *ret,
		       struct fail *why)
{
	struct sieve_program p = {.extra = extra};
	struct cursor c = cursor_of(blob);
	struct str magic = cursor_bytes(&c, 4), rest;
	uint8_t version = cursor_u8(&c);
	p.extensions = cursor_u64(&c);
	size_t strings = cursor_u32(&c), lists = cursor_u32(&c), code = cursor_u32(&c),
	       text = cursor_u32(&c);
	if (c.bad || !str_eq(magic, STR(BLOB_MAGIC)))
		return corrupt(why, "it begins otherwise");
	if (version != SIEVE_PROGRAM_VERSION)
		return fail_set(why, FAIL_UNSUPPORTED, NULL, "program of version %u", version);
	rest = str_skip(blob, BLOB_HEAD);
	if (!cut(&rest, strings, &p.strings) || !cut(&rest, lists, &p.lists) ||
	    !cut(&rest, code, &p.code) || !cut(&rest, text, &p.text) || rest.n || strings % 8 ||
	    lists % 4)
		return corrupt(why, "its pieces have other sizes");
	p.n_strings = (uint32_t)(strings / 8);
	AUTO_MEM unsigned char *starts = xcalloc(code / 8 + 1, 1);
	AUTO_MEM unsigned char *list_set = xcalloc(lists / 32 + 1, 1);
	if (!strings_ok(&p))
		return corrupt(why, "a string or list");
	list_starts(&p, list_set);
	if (!code_ok(&p, starts, list_set) || !places_ok(&p, starts))
		return corrupt(why, "its code");
	*ret = p;
	return 0;
}

static void write_text(struct buf *out, struct str s)
{
	(void)buf_addc(out, '"');
	for (size_t i = 0; i < s.n; i++) {
		unsigned char ch = (unsigned char)s.p[i];
		if (ch == '"' || ch == '\\')
			(void)buf_addf(out, "\\%c", ch);
		else if (ch < ' ' || ch == 127)
			(void)buf_addf(out, "\\x%02x", ch);
		else
			(void)buf_addc(out, (char)ch);
	}
	(void)buf_addc(out, '"');
}

static void write_string(const struct sieve_program *p, struct buf *out, uint32_t id)
{
	bool variables;
	struct str s = sieve_program_string(p, id, &variables);
	(void)buf_add(out, variables ? STR("$") : STR(""));
	write_text(out, s);
}

static void write_value(const struct sieve_program *p, struct buf *out, const struct sieve_args *a,
			unsigned s)
{
	const struct sieve_value *v = &a->v[s];
	uint8_t type = sieve_slot_type(a->spec, s);
	if (s < S_P1 && sieve_slots[s].tag)
		(void)buf_addf(out, " :%s", sieve_slots[s].tag);
	if (type == SLOT_NUMBER) {
		(void)buf_addf(out, " %llu", (unsigned long long)v->number);
	} else if (type == SLOT_STRING) {
		(void)buf_addc(out, ' ');
		write_string(p, out, (uint32_t)v->number);
	} else if (type == SLOT_LIST) {
		(void)buf_add(out, STR(" ["));
		for (uint32_t i = 0; i < sieve_list_n(p, v->number); i++) {
			(void)buf_add(out, i ? STR(", ") : STR(""));
			write_string(p, out, sieve_list_at(p, v->number, i));
		}
		(void)buf_addc(out, ']');
	} else if (type == SLOT_MATCH) {
		(void)buf_addf(out, " :%s", sieve_matches[v->a].name);
		if (v->a == MATCH_VALUE || v->a == MATCH_COUNT)
			(void)buf_addf(out, " \"%s\"", sieve_relations[v->b]);
	} else if (type == SLOT_COMPARATOR) {
		(void)buf_addf(out, " \"%s\"", sieve_comparators[v->a].name);
	} else if (type == SLOT_PART) {
		(void)buf_addf(out, " :%s", sieve_parts[v->a].name);
	}
}

void sieve_program_write(const struct sieve_program *p, struct buf *out)
{
	static const char *const names[] = {
		"end",	"stop",	 "return", "jump", "jump-false", "jump-true", "not",
		"true", "false", "loop",   "next", "break",	 "block",     "block-end"};
	struct sieve_args args;
	struct sieve_instruction in = {.args = &args};
	for (size_t at = 0; at < p->code.n; at = in.next) {
		if (!sieve_instruction_read(p, at, &in))
			return;
		(void)buf_addf(out, "%zu\t%u\t", at, in.line);
		if (in.op < OP_SPEC)
			(void)buf_add_c(out, names[in.op]);
		else
			(void)buf_add_c(out, args.spec->name);
		if (op_has_number(in.op))
			(void)buf_addf(out, " %u", in.number);
		for (unsigned s = 0; s < S_COUNT && in.op >= OP_SPEC; s++)
			if (args.present & S_BIT(s))
				write_value(p, out, &args, s);
		(void)buf_addc(out, '\n');
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sieve_int.h - what compiler, program and interpreter share.          [codec/sieve, internal]
 *
 * One table (sieve_specs) says for every command and test what it needs, which arguments it takes,
 * what the compiler looks at and which function runs it. An argument has a slot: the same tag with
 * the same meaning is the same slot everywhere, so that a program can be checked without knowing
 * what its instructions do.
 *
 * A program is a row of instructions: one byte of operation, the line of the script (u32), and
 *   - of an operation below OP_SPEC: a u32, if op_has_number() (a place in the code, or a count);
 *   - of others: which slots there are (u64), and these in order: a flag has nothing, a number u64,
 *     a string or list u32 (its number in the table), match type u8 u8, comparator u8, part u8.
 * Places lead forwards; only OP_NEXT goes back, to the loop it ends. All numbers little-endian.
 */
#ifndef BARID_CODEC_SIEVE_INT_H
#define BARID_CODEC_SIEVE_INT_H

#include "base/map.h"
#include "codec/sieve/sieve_ext.h"
#include "codec/sieve/sieve_parse.h"

struct sieve_vm;
struct sieve_args;
struct sieve_compiler;
struct sieve_bound;

enum sieve_slot {
	S_MATCH,
	S_COMPARATOR,
	S_PART,
	S_INDEX,
	S_LAST,
	S_EDIT_INDEX,
	S_EDIT_LAST,
	S_MIME,
	S_ANYCHILD,
	S_TYPE,
	S_SUBTYPE,
	S_CONTENTTYPE,
	S_PARAM,
	S_ZONE,
	S_ORIGINALZONE,
	S_RAW,
	S_TEXT,
	S_CONTENT,
	S_OVER,
	S_UNDER,
	S_HANDLE,
	S_HEADER,
	S_UNIQUEID,
	S_SECONDS,
	S_VACATION_SECONDS,
	S_DAYS,
	S_PERCENT,
	S_COPY,
	S_FLAGS,
	S_CREATE,
	S_MAILBOXID,
	S_SPECIALUSE,
	S_LIST,
	S_NOTIFY,
	S_RET,
	S_SUBJECT,
	S_FROM,
	S_ADDRESSES,
	S_TEXT_IS_MIME,
	S_FCC,
	S_IMPORTANCE,
	S_OPTIONS,
	S_MESSAGE,
	S_LOWER,
	S_UPPER,
	S_LOWERFIRST,
	S_UPPERFIRST,
	S_QUOTEWILDCARD,
	S_QUOTEREGEX,
	S_ENCODEURL,
	S_LENGTH,
	S_GLOBAL,
	S_PERSONAL,
	S_ONCE,
	S_OPTIONAL,
	S_NAME,
	S_FIRST,
	S_HEADERS,
	S_P1, /* arguments without a tag */
	S_P2,
	S_P3,
	S_P4,
	S_COUNT
};
#define S_BIT(s) (UINT64_C(1) << (s))

enum sieve_slot_type {
	SLOT_FLAG,
	SLOT_NUMBER,
	SLOT_STRING,
	SLOT_LIST,
	SLOT_MATCH,
	SLOT_COMPARATOR,
	SLOT_PART,
};

struct sieve_slot_row {
	const char *tag;
	uint8_t type;
	uint8_t ext;
	uint8_t group; /* of tags of one group only one may stand; 0: none */
};
extern const struct sieve_slot_row sieve_slots[S_COUNT];

enum sieve_match {
	MATCH_IS,
	MATCH_CONTAINS,
	MATCH_MATCHES,
	MATCH_REGEX,
	MATCH_VALUE,
	MATCH_COUNT,
	MATCH_LIST,
	MATCH_END
};
enum sieve_relation { REL_EQ, REL_NE, REL_GT, REL_GE, REL_LT, REL_LE, REL_END };
enum sieve_comparator { CMP_CASEMAP, CMP_OCTET, CMP_NUMERIC, CMP_UNICODE, CMP_END };
enum sieve_part { PART_ALL, PART_LOCAL, PART_DOMAIN, PART_USER, PART_DETAIL, PART_END };

struct sieve_name {
	const char *name;
	uint8_t ext;
};
extern const struct sieve_name sieve_matches[MATCH_END], sieve_comparators[CMP_END],
	sieve_parts[PART_END];
extern const char *const sieve_relations[REL_END];

enum sieve_op {
	OP_END,	   /* of the script */
	OP_STOP,   /* `stop` */
	OP_RETURN, /* of an included script */
	OP_JUMP,   /* to a place */
	OP_JUMP_FALSE,
	OP_JUMP_TRUE,
	OP_NOT,
	OP_TRUE,
	OP_FALSE,
	OP_LOOP,  /* foreverypart; behind its end */
	OP_NEXT,  /* the end of a loop */
	OP_BREAK, /* out of so many loops */
	OP_BLOCK, /* a block of a command that has one begins; behind its end */
	OP_BLOCK_END,
	OP_SPEC = 16, /* and more: sieve_specs */
	OP_EXTRA = 160,
};
static inline bool op_has_number(uint8_t op)
{
	return op == OP_JUMP || op == OP_JUMP_FALSE || op == OP_JUMP_TRUE || op == OP_LOOP ||
	       op == OP_BREAK || op == OP_BLOCK;
}
static inline bool op_is_place(uint8_t op)
{
	return op_has_number(op) && op != OP_BREAK;
}

enum sieve_kind { SPEC_COMMAND, SPEC_TEST, SPEC_BLOCK /* a command with a block */ };

struct sieve_spec {
	const char *name;
	uint8_t kind;
	uint8_t ext;
	const char
		*positional; /* of each: n number, s string, l list; in capitals: may be absent */
	uint64_t slots;	     /* the tags */
	void (*check)(struct sieve_compiler *c, const struct sieve_node *n, struct sieve_bound *b);
	/* 1 or 0 of a test, 0 of a command, negative: an error, vm->error says which */
	int (*run)(struct sieve_vm *vm, const struct sieve_args *a);
};
extern const struct sieve_spec sieve_specs[];
extern const size_t sieve_specs_n;

/* More commands, which need `require` of this name. For the runner of test suites. */
struct sieve_extra {
	const char *extension;
	const struct sieve_spec *specs;
	size_t n;
	void *ctx;
};

/* NULL: there is none. */
const struct sieve_spec *sieve_spec_of(uint8_t op, const struct sieve_extra *extra);

/* What a slot of this command is: positional ones have their type from the command. */
uint8_t sieve_slot_type(const struct sieve_spec *spec, unsigned slot);

/* The arguments of a command, bound to slots. */
struct sieve_bound {
	uint64_t present;
	struct sieve_arg *arg[S_COUNT]; /* the value; NULL of flags */
	uint8_t match, relation, comparator, part;
};

struct sieve_compiler {
	struct sieve_parser parser;
	const struct sieve_options *options;
	const struct sieve_extra *extra;
	uint64_t required;  /* and what `ihave` lets in */
	uint64_t mentioned; /* all that were, for the program */
	struct buf code, lists, table, text;
	struct strmap ids; /* of strings: value is index + 1 */
	uint32_t n_strings;
	uint32_t loops;
	struct str loop_names[8];
	uint32_t redirects;
	bool commands_began; /* `require` has to stand before */
};
#define SIEVE_LOOPS_MAX 8

void sieve_err(struct sieve_compiler *c, const struct sieve_arg *a, const char *text, ...)
	PRINTF_LIKE(3, 4);
void sieve_warn(struct sieve_compiler *c, const struct sieve_arg *a, const char *text, ...)
	PRINTF_LIKE(3, 4);
void sieve_err_at(struct sieve_compiler *c, const struct sieve_node *n, const char *text, ...)
	PRINTF_LIKE(3, 4);
static inline bool sieve_has(const struct sieve_compiler *c, unsigned ext)
{
	return c->required & X_BIT(ext);
}
/* Does this string hold variables (whose value nobody knows before the script runs)? */
bool sieve_is_constant(const struct sieve_compiler *c, struct str s);

/* sieve_check.c: what commands want of their arguments. */
void sieve_check_match(struct sieve_compiler *c, const struct sieve_node *n, struct sieve_bound *b,
		       const struct sieve_arg *keys);
#define CHECKER(name)                                                                              \
	void name(struct sieve_compiler *c, const struct sieve_node *n, struct sieve_bound *b)
CHECKER(sieve_check_address);
CHECKER(sieve_check_envelope);
CHECKER(sieve_check_header);
CHECKER(sieve_check_exists);
CHECKER(sieve_check_size);
CHECKER(sieve_check_body);
CHECKER(sieve_check_date);
CHECKER(sieve_check_keys2);
CHECKER(sieve_check_keys3);
CHECKER(sieve_check_keys1);
CHECKER(sieve_check_hasflag);
CHECKER(sieve_check_duplicate);
CHECKER(sieve_check_environment);
CHECKER(sieve_check_fileinto);
CHECKER(sieve_check_keep);
CHECKER(sieve_check_flags);
CHECKER(sieve_check_redirect);
CHECKER(sieve_check_vacation);
CHECKER(sieve_check_set);
CHECKER(sieve_check_addheader);
CHECKER(sieve_check_deleteheader);
CHECKER(sieve_check_notify);
CHECKER(sieve_check_include);
CHECKER(sieve_check_global);
CHECKER(sieve_check_in_loop);
CHECKER(sieve_check_capability);
CHECKER(sieve_check_mailbox);

/* A name of a variable (RFC 5229 3): identifiers, maybe behind a namespace. */
bool sieve_is_identifier(struct str s);
bool sieve_is_field_name(struct str s);
/* One line, or some that are folded, that may become a field (RFC 5293 4). */
bool sieve_is_field_text(struct str s);
bool sieve_is_flag(struct str s);
/* "+hhmm": minutes east of UTC. */
bool sieve_zone(struct str s, int *ret_min);
/* local@domain, with quotation marks where the local part needs them; p is NULL: no memory. */
struct str sieve_address_write(struct arena *arena, struct str local, struct str domain);
/* One address, "a@b" or "Name <a@b>"; its parts in *ret_local and *ret_domain, from the arena. */
bool sieve_address(struct arena *arena, struct str s, struct str *ret_local,
		   struct str *ret_domain);

#endif

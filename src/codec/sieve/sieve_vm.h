/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sieve_vm.h - the inside of the interpreter.                          [codec/sieve, internal]
 */
#ifndef BARID_CODEC_SIEVE_VM_H
#define BARID_CODEC_SIEVE_VM_H

#include "codec/sieve/sieve_blob.h"
#include "codec/sieve/sieve_run.h"

/* A header field, as it is or as a script made it. */
struct sieve_field {
	struct str name;
	struct str value;   /* raw */
	struct str whole;   /* lines as they stand in the message */
	struct str decoded; /* unfolded, decoded, trimmed; p NULL: not yet */
	bool is_decoded;
};
struct sieve_fields {
	struct sieve_field *p;
	size_t n, cap;
};

struct sieve_variable {
	struct str name; /* lower case; global ones have "global." in front */
	struct str value;
};
struct sieve_variables {
	struct sieve_variable *p;
	size_t n, cap;
};

/* What outlives one script of a row. */
struct sieve_state {
	struct sieve_fields fields; /* of the message's header */
	bool fields_read;
	bool edited;
	struct str edited_header; /* written out; p NULL: not since the last edit */
	const struct sieve_piece *body;
	size_t n_body;
	struct str *part_text;		  /* by part: decoded text, p NULL: not yet */
	struct sieve_fields *part_fields; /* by part */
	bool *part_read;
	struct sieve_variables globals;
	uint32_t redirects;
};

struct sieve_loop {
	size_t body; /* place behind OP_LOOP */
	size_t end;
	uint32_t part; /* the current one */
	uint32_t last; /* behind the last one */
	bool block;    /* of OP_BLOCK */
};
#define SIEVE_STACK 16

/* One script that runs: the first, or an included one. */
struct sieve_frame {
	const struct sieve_program *program;
	struct sieve_variables locals;
	struct str *imported; /* names that `global` declared */
	size_t n_imported;
	struct str matches[SIEVE_GROUPS * 4];
	size_t n_matches;
	struct sieve_loop loops[SIEVE_STACK];
	size_t n_loops;
	struct str name; /* of the script; "" of the first */
	bool global;
	struct sieve_frame *above;
};

struct sieve_vm {
	const struct sieve_host *host;
	const struct sieve_message *message;
	struct sieve_run_limits limits;
	struct arena *arena;
	struct sieve_result *result;
	struct sieve_state *state;
	struct sieve_frame *frame;
	uint32_t depth, includes;
	struct str *included; /* names of those that ran, for :once */
	size_t n_included;
	uint64_t steps;
	bool flag;
	bool stopped;
	bool abort_block; /* a command wants the innermost OP_BLOCK to end */
	uint32_t line;
	struct str *flags; /* of imap4flags: the internal variable */
	size_t n_flags;
	size_t actions_cap, seen_cap;
	struct fail *why;
	void *extra;
};

/* Take steps; -FAIL_LIMIT when there are no more. */
MUST_CHECK int sieve_spend(struct sieve_vm *vm, uint64_t steps);
/* End the script with an error; @text is a sentence for its owner. */
int sieve_fail(struct sieve_vm *vm, enum fail_code code, const char *text, ...) PRINTF_LIKE(3, 4);
int sieve_full(struct sieve_vm *vm); /* memory is used up */
void sieve_trace(struct sieve_vm *vm, const char *text, ...) PRINTF_LIKE(2, 3);
static inline bool sieve_tracing(const struct sieve_vm *vm)
{
	return vm->host->trace != NULL;
}

/* Arguments: is the slot there; its number; its text and list with variables filled in. */
static inline bool arg_has(const struct sieve_args *a, unsigned slot)
{
	return a->present & S_BIT(slot);
}
MUST_CHECK int arg_text(struct sieve_vm *vm, const struct sieve_args *a, unsigned slot,
			struct str *ret);
MUST_CHECK int arg_list(struct sieve_vm *vm, const struct sieve_args *a, unsigned slot,
			struct str **ret, size_t *ret_n);

/* Variables (sieve_set.c). */
MUST_CHECK int sieve_expand(struct sieve_vm *vm, struct str s, struct str *ret);
MUST_CHECK int sieve_variable_set(struct sieve_vm *vm, struct str name, struct str value);
struct str sieve_variable_get(struct sieve_vm *vm, struct str ns, struct str name);
MUST_CHECK int sieve_modify(struct sieve_vm *vm, const struct sieve_args *a, struct str *value);

/* Matching (sieve_match.c): values one by one against the keys of a test. */
struct sieve_matcher {
	struct sieve_vm *vm;
	uint8_t match, relation, comparator;
	struct str *keys;
	size_t n_keys;
	void **regex; /* by key */
	uint64_t count;
	bool silent; /* sets no match variables (RFC 5173 6) */
};
MUST_CHECK int matcher_begin(struct sieve_vm *vm, struct sieve_matcher *m,
			     const struct sieve_args *a, unsigned keys);
/* 1: it matches, enough; 0: go on with the next one. */
MUST_CHECK int matcher_value(struct sieve_matcher *m, struct str value);
/* After the last one: the answer of a test that counts. */
MUST_CHECK int matcher_end(struct sieve_matcher *m);
void matcher_clear(struct sieve_matcher *m);
DEFINE_AUTO(sieve_matcher, struct sieve_matcher, matcher_clear);

/* The message (sieve_message.c). */
MUST_CHECK int sieve_fields_get(struct sieve_vm *vm, struct sieve_fields **ret);
MUST_CHECK int sieve_part_fields(struct sieve_vm *vm, uint32_t part, struct sieve_fields **ret);
MUST_CHECK int sieve_field_text(struct sieve_vm *vm, struct sieve_field *f, struct str *ret);
/* Bytes of the source; what is over `max` is left out. */
MUST_CHECK int sieve_read(struct sieve_vm *vm, uint64_t off, uint64_t len, size_t max,
			  struct str *ret);
/* The text of a leaf: decoded, in UTF-8 when it is text; @plain: HTML loses its tags. */
MUST_CHECK int sieve_part_text(struct sieve_vm *vm, uint32_t part, bool plain, struct str *ret);
/* Text that can be read: in a charset, and in an encoding that is known. */
bool sieve_part_is_text(const struct mime_part *p);
/* The header as edited; *ret is {NULL, 0} when it is as it came. */
MUST_CHECK int sieve_header_now(struct sieve_vm *vm, struct str *ret);
/* Whole fields of the header without `Content-...` and MIME-Version, for replace and enclose. */
MUST_CHECK int sieve_fields_add(struct sieve_vm *vm, struct sieve_fields *f, struct str name,
				struct str value, bool last);
/* The part that foreverypart is at; false outside of loops. */
bool sieve_current_part(const struct sieve_vm *vm, uint32_t *ret);

/* One address by the part that a test asks for. False: it has no such part. */
bool sieve_address_part(struct sieve_vm *vm, uint8_t part, struct str local, struct str domain,
			struct str all, struct str *ret);

/* Actions (sieve_action.c). */
MUST_CHECK int sieve_action_new(struct sieve_vm *vm, enum sieve_action_kind kind,
				struct sieve_action **ret);
MUST_CHECK int sieve_flags_of(struct sieve_vm *vm, const struct sieve_args *a, struct str **ret,
			      size_t *ret_n);
/* `list` taken apart at blanks, without doubles and nonsense. */
MUST_CHECK int sieve_flags_clean(struct sieve_vm *vm, const struct str *list, size_t n,
				 struct str **ret, size_t *ret_n);
struct str sieve_join(struct sieve_vm *vm, const struct str *list, size_t n);

/* :fcc and what belongs to it (RFC 8580); mailbox "" when it is not there. */
MUST_CHECK int sieve_take_fcc(struct sieve_vm *vm, const struct sieve_args *a,
			      struct sieve_store *ret);

#define RUN(name) int name(struct sieve_vm *vm, const struct sieve_args *a)
RUN(sieve_test_address);
RUN(sieve_test_envelope);
RUN(sieve_test_exists);
RUN(sieve_test_header);
RUN(sieve_test_size);
RUN(sieve_test_string);
RUN(sieve_test_hasflag);
RUN(sieve_test_body);
RUN(sieve_test_date);
RUN(sieve_test_currentdate);
RUN(sieve_test_duplicate);
RUN(sieve_test_valid_method);
RUN(sieve_test_capability);
RUN(sieve_test_environment);
RUN(sieve_test_valid_list);
RUN(sieve_test_mailboxexists);
RUN(sieve_test_metadata);
RUN(sieve_test_metadataexists);
RUN(sieve_test_servermetadata);
RUN(sieve_test_servermetadataexists);
RUN(sieve_test_mailboxidexists);
RUN(sieve_test_specialuse_exists);
RUN(sieve_test_spam);
RUN(sieve_test_virus);
RUN(sieve_test_convert);
RUN(sieve_do_keep);
RUN(sieve_do_discard);
RUN(sieve_do_fileinto);
RUN(sieve_do_redirect);
RUN(sieve_do_reject);
RUN(sieve_do_ereject);
RUN(sieve_do_set);
RUN(sieve_do_vacation);
RUN(sieve_do_setflag);
RUN(sieve_do_addflag);
RUN(sieve_do_removeflag);
RUN(sieve_do_addheader);
RUN(sieve_do_deleteheader);
RUN(sieve_do_notify);
RUN(sieve_do_error);
RUN(sieve_do_include);
RUN(sieve_do_global);
RUN(sieve_do_extracttext);
RUN(sieve_do_replace);
RUN(sieve_do_enclose);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/sieve/sieve_run.h"
#include "base/text.h"
#include "codec/sieve/sieve_vm.h"

int sieve_spend(struct sieve_vm *vm, uint64_t steps)
{
	vm->steps += steps;
	if (vm->steps > vm->limits.steps)
		return sieve_fail(vm, FAIL_LIMIT, T("The script takes too long."));
	return 0;
}

int sieve_fail(struct sieve_vm *vm, enum fail_code code, const char *text, ...)
{
	va_list ap;
	va_start(ap, text);
	vm->result->error_line = vm->line;
	vm->result->error = sieve_format(vm->arena, text, ap);
	va_end(ap);
	if (!vm->result->error.p)
		vm->result->error = str_c(T("The script needs too much memory."));
	return fail_set(vm->why, code, NULL, "line %u: %.*s", vm->line, STR_ARG(vm->result->error));
}

int sieve_full(struct sieve_vm *vm)
{
	return sieve_fail(vm, FAIL_LIMIT, "%s", T("The script needs too much memory."));
}

void sieve_trace(struct sieve_vm *vm, const char *text, ...)
{
	if (!vm->host->trace)
		return;
	AUTO(arena) struct arena a = ARENA_INIT(KIB(4));
	va_list ap;
	va_start(ap, text);
	vm->host->trace(vm->host->ctx, vm->line, sieve_format(&a, text, ap));
	va_end(ap);
}

static int text_of_id(struct sieve_vm *vm, uint32_t id, struct str *ret)
{
	bool variables;
	struct str s = sieve_program_string(vm->frame->program, id, &variables);
	*ret = s;
	return variables ? sieve_expand(vm, s, ret) : 0;
}

int arg_text(struct sieve_vm *vm, const struct sieve_args *a, unsigned slot, struct str *ret)
{
	*ret = STR("");
	return arg_has(a, slot) ? text_of_id(vm, (uint32_t)a->v[slot].number, ret) : 0;
}

int arg_list(struct sieve_vm *vm, const struct sieve_args *a, unsigned slot, struct str **ret,
	     size_t *ret_n)
{
	*ret = NULL;
	*ret_n = 0;
	if (!arg_has(a, slot))
		return 0;
	const struct sieve_program *p = vm->frame->program;
	uint32_t n = sieve_list_n(p, a->v[slot].number);
	struct str *list = arena_array(vm->arena, struct str, n + 1);
	if (!list)
		return sieve_full(vm);
	for (uint32_t i = 0; i < n; i++) {
		int r = text_of_id(vm, sieve_list_at(p, a->v[slot].number, i), &list[i]);
		if (r < 0)
			return r;
	}
	*ret = list;
	*ret_n = n;
	return 0;
}

bool sieve_current_part(const struct sieve_vm *vm, uint32_t *ret)
{
	for (const struct sieve_frame *f = vm->frame; f; f = f->above)
		for (size_t i = f->n_loops; i > 0; i--)
			if (!f->loops[i - 1].block) {
				*ret = f->loops[i - 1].part;
				return true;
			}
	return false;
}

static int broken(struct sieve_vm *vm)
{
	return sieve_fail(vm, FAIL_CORRUPT, "%s",
			  T("The stored program is damaged; save the script again."));
}

/* foreverypart: all parts below the message, or below the part of the loop around (RFC 5703 3). */
static int begin_loop(struct sieve_vm *vm, const struct sieve_instruction *in, size_t *pc)
{
	struct sieve_frame *f = vm->frame;
	uint32_t part = 0, first = 0;
	bool inner = sieve_current_part(vm, &part);
	uint32_t last = vm->message->map->n_parts;
	if (f->n_loops == SIEVE_STACK)
		return broken(vm);
	if (inner) {
		first = part + 1;
		last = vm->message->map->parts[part].end;
	}
	if (in->op == OP_LOOP && first >= last) {
		*pc = in->number;
		return 0;
	}
	f->loops[f->n_loops++] = (struct sieve_loop){.body = in->next,
						     .end = in->number,
						     .part = first,
						     .last = last,
						     .block = in->op == OP_BLOCK};
	return 0;
}

static int next_part(struct sieve_vm *vm, size_t *pc)
{
	struct sieve_frame *f = vm->frame;
	if (f->n_loops == 0 || f->loops[f->n_loops - 1].block)
		return broken(vm);
	struct sieve_loop *l = &f->loops[f->n_loops - 1];
	if (++l->part < l->last)
		*pc = l->body;
	else
		f->n_loops--;
	return 0;
}

static int leave_loops(struct sieve_vm *vm, uint32_t n, size_t *pc)
{
	struct sieve_frame *f = vm->frame;
	while (n) {
		if (f->n_loops == 0)
			return broken(vm);
		struct sieve_loop *l = &f->loops[--f->n_loops];
		*pc = l->end;
		n -= !l->block;
	}
	return 0;
}

/* A command asked that its block end. */
static int leave_block(struct sieve_vm *vm, size_t *pc)
{
	struct sieve_frame *f = vm->frame;
	vm->abort_block = false;
	while (f->n_loops) {
		struct sieve_loop *l = &f->loops[--f->n_loops];
		*pc = l->end;
		if (l->block)
			return 0;
	}
	return broken(vm);
}

/* One instruction. 1: the program ends. */
static int step(struct sieve_vm *vm, const struct sieve_instruction *in, size_t *pc)
{
	*pc = in->next;
	vm->line = in->line;
	switch (in->op) {
	case OP_STOP:
		vm->stopped = true;
		return 1;
	case OP_END:
	case OP_RETURN:
		return 1;
	case OP_JUMP:
		*pc = in->number;
		return 0;
	case OP_JUMP_FALSE:
	case OP_JUMP_TRUE:
		*pc = vm->flag == (in->op == OP_JUMP_TRUE) ? in->number : in->next;
		return 0;
	case OP_NOT:
		vm->flag = !vm->flag;
		return 0;
	case OP_TRUE:
	case OP_FALSE:
		vm->flag = in->op == OP_TRUE;
		return 0;
	case OP_LOOP:
	case OP_BLOCK:
		return begin_loop(vm, in, pc);
	case OP_NEXT:
		return next_part(vm, pc);
	case OP_BREAK:
		return leave_loops(vm, in->number, pc);
	case OP_BLOCK_END:
		if (vm->frame->n_loops == 0 || !vm->frame->loops[vm->frame->n_loops - 1].block)
			return broken(vm);
		vm->frame->n_loops--;
		return 0;
	default:
		break;
	}
	int r = in->args->spec->run(vm, in->args);
	if (r < 0)
		return r;
	if (in->args->spec->kind != SPEC_COMMAND)
		vm->flag = r > 0;
	if (in->args->spec->kind == SPEC_TEST && sieve_tracing(vm))
		sieve_trace(vm, "%s: %s", in->args->spec->name, r > 0 ? T("yes") : T("no"));
	return vm->stopped ? 1 : vm->abort_block ? leave_block(vm, pc) : 0;
}

/* Run the program of vm->frame. */
static int run_frame(struct sieve_vm *vm)
{
	struct sieve_args args;
	struct sieve_instruction in = {.args = &args};
	size_t pc = 0;
	for (;;) {
		int r = sieve_spend(vm, 1);
		if (r < 0)
			return r;
		if (!sieve_instruction_read(vm->frame->program, pc, &in))
			return broken(vm);
		r = step(vm, &in, &pc);
		if (r != 0)
			return MIN(r, 0);
	}
}

static bool was_included(const struct sieve_vm *vm, struct str name)
{
	for (size_t i = 0; i < vm->n_included; i++)
		if (str_eq(vm->included[i], name))
			return true;
	return false;
}

static int run_included(struct sieve_vm *vm, struct str blob, struct str name, bool global)
{
	struct sieve_program p;
	struct sieve_frame *f = arena_new(vm->arena, struct sieve_frame);
	int r = sieve_program_open(blob, NULL, &p, vm->why);
	if (r < 0)
		return broken(vm);
	if (!f)
		return sieve_full(vm);
	*f = (struct sieve_frame){
		.program = &p, .name = name, .global = global, .above = vm->frame};
	vm->frame = f;
	vm->depth++;
	r = run_frame(vm);
	vm->depth--;
	vm->frame = f->above;
	return r;
}

int sieve_do_include(struct sieve_vm *vm, const struct sieve_args *a)
{
	struct str name, blob = STR_NULL;
	bool global = arg_has(a, S_GLOBAL);
	int r = arg_text(vm, a, S_P1, &name);
	if (r < 0)
		return r;
	struct str key = arena_printf(vm->arena, "%c%.*s", global ? 'g' : 'p', STR_ARG(name));
	if (!key.p)
		return sieve_full(vm);
	if (arg_has(a, S_ONCE) && was_included(vm, key))
		return 0;
	for (const struct sieve_frame *f = vm->frame; f; f = f->above)
		if (f->above && str_eq(f->name, name) && f->global == global)
			return sieve_fail(vm, FAIL_CONFLICT,
					  T("The script \"%.*s\" includes itself."), STR_ARG(name));
	if (vm->depth >= vm->limits.include_depth || vm->includes++ >= vm->limits.includes)
		return sieve_fail(vm, FAIL_LIMIT, "%s", T("Too many scripts are included."));
	r = vm->host->script ? vm->host->script(vm->host->ctx, global, name, vm->arena, &blob) : 0;
	if (r < 0)
		return sieve_fail(vm, FAIL_TEMP, T("The script \"%.*s\" cannot be had."),
				  STR_ARG(name));
	if (r == 0 && arg_has(a, S_OPTIONAL))
		return 0;
	if (r == 0)
		return sieve_fail(vm, FAIL_NOTFOUND,
				  T("There is no script \"%.*s\", which this one includes."),
				  STR_ARG(name));
	struct str *more = arena_array(vm->arena, struct str, vm->n_included + 1);
	if (!more)
		return sieve_full(vm);
	if (vm->n_included)
		memcpy(more, vm->included, vm->n_included * sizeof *more);
	more[vm->n_included++] = key;
	vm->included = more;
	sieve_trace(vm, T("include \"%.*s\""), STR_ARG(name));
	return run_included(vm, blob, name, global);
}

int sieve_do_error(struct sieve_vm *vm, const struct sieve_args *a)
{
	struct str text;
	int r = arg_text(vm, a, S_P1, &text);
	return r < 0 ? r : sieve_fail(vm, FAIL_CONFLICT, "%.*s", STR_ARG(text));
}

/* Of the implicit keep. */
static int finish(struct sieve_vm *vm)
{
	struct sieve_result *res = vm->result;
	int r = sieve_header_now(vm, &res->keep_header);
	if (r < 0)
		return r;
	res->keep_store.mailbox = STR("INBOX");
	res->keep_store.flags = vm->flags;
	res->keep_store.n_flags = vm->n_flags;
	res->keep_body = vm->state->body;
	res->n_keep_body = vm->state->n_body;
	if (res->keep)
		sieve_trace(vm, "%s", T("nothing took the message: it is kept in INBOX"));
	return 0;
}

int sieve_run(const struct sieve_program *p, const struct sieve_host *host,
	      const struct sieve_message *message, struct arena *arena, struct sieve_result *result,
	      struct fail *why)
{
	struct sieve_run_limits limits = SIEVE_RUN_LIMITS_DEFAULT;
	struct sieve_frame first = {.program = p, .name = STR("")};
	struct sieve_vm vm = {.host = host,
			      .message = message,
			      .limits = host->limits ? *host->limits : limits,
			      .arena = arena,
			      .result = result,
			      .frame = &first,
			      .why = why,
			      .flags = result->keep_store.flags,
			      .n_flags = result->keep_store.n_flags,
			      .actions_cap = result->n_actions,
			      .seen_cap = result->n_seen,
			      .extra = p->extra ? p->extra->ctx : NULL};
	if (!result->state)
		result->state = arena_new(arena, struct sieve_state);
	if (!result->state)
		return sieve_full(&vm);
	vm.state = result->state;
	int r = run_frame(&vm);
	result->stop = vm.stopped;
	result->steps += vm.steps;
	if (r == 0)
		r = finish(&vm);
	return r;
}

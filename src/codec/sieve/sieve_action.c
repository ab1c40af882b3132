/* SPDX-License-Identifier: Apache-2.0 */
/* Actions that store, send on and refuse. */
#include "base/text.h"
#include "base/utf8.h"
#include "codec/sieve/sieve_vm.h"

int sieve_action_new(struct sieve_vm *vm, enum sieve_action_kind kind, struct sieve_action **ret)
{
	struct sieve_result *res = vm->result;
	if (res->n_actions >= vm->limits.actions)
		return sieve_fail(vm, FAIL_LIMIT, T("A script may take %u actions on a message."),
				  vm->limits.actions);
	if (res->n_actions == vm->actions_cap) {
		size_t cap = vm->actions_cap * 2 + 4;
		struct sieve_action *more = arena_array(vm->arena, struct sieve_action, cap);
		if (!more)
			return sieve_full(vm);
		if (res->n_actions)
			memcpy(more, res->actions, res->n_actions * sizeof *more);
		res->actions = more;
		vm->actions_cap = cap;
	}
	struct sieve_action *x = &res->actions[res->n_actions];
	*x = (struct sieve_action){.kind = kind, .line = vm->line};
	int r = sieve_header_now(vm, &x->header);
	if (r < 0)
		return r;
	x->body = vm->state->body;
	x->n_body = vm->state->n_body;
	res->n_actions++;
	*ret = x;
	return 0;
}

static bool is_refusal(const struct sieve_action *x)
{
	return x->kind == SIEVE_REJECT || x->kind == SIEVE_EREJECT;
}

static const struct sieve_action *find_refusal(const struct sieve_vm *vm)
{
	for (size_t i = 0; i < vm->result->n_actions; i++)
		if (is_refusal(&vm->result->actions[i]))
			return &vm->result->actions[i];
	return NULL;
}

/* Who refuses a message does not have it (RFC 5429 2.1 and 2.2). */
static int no_refusal(struct sieve_vm *vm)
{
	const struct sieve_action *x = find_refusal(vm);
	return x ? sieve_fail(vm, FAIL_CONFLICT,
			      T("A message that was refused (line %u) cannot be stored or answered "
				"besides."),
			      x->line)
		 : 0;
}

static void trace_store(struct sieve_vm *vm, const char *what, const struct sieve_store *s)
{
	if (sieve_tracing(vm))
		sieve_trace(vm, "%s \"%.*s\" (%.*s)", what, STR_ARG(s->mailbox),
			    STR_ARG(sieve_join(vm, s->flags, s->n_flags)));
}

/* Flags of a second storing in the same mailbox: those of the last one count (RFC 5232 2). */
static struct sieve_action *find_store(const struct sieve_vm *vm, const struct sieve_store *s)
{
	for (size_t i = 0; i < vm->result->n_actions; i++) {
		struct sieve_action *x = &vm->result->actions[i];
		if ((x->kind == SIEVE_KEEP || x->kind == SIEVE_FILEINTO) &&
		    str_eq(x->store.mailbox, s->mailbox) &&
		    str_eq(x->store.mailbox_id, s->mailbox_id) &&
		    str_eq(x->store.special_use, s->special_use) && x->body == vm->state->body)
			return x;
	}
	return NULL;
}

static int add_store(struct sieve_vm *vm, enum sieve_action_kind kind, const struct sieve_store *s,
		     bool copy)
{
	struct sieve_action *x = find_store(vm, s);
	int r = no_refusal(vm);
	if (r == 0 && !x)
		r = sieve_action_new(vm, kind, &x);
	if (r < 0)
		return r;
	x->store = *s;
	x->copy = copy;
	vm->result->keep = vm->result->keep && copy;
	return 0;
}

int sieve_do_keep(struct sieve_vm *vm, const struct sieve_args *a)
{
	struct sieve_store s = {.mailbox = STR("INBOX")};
	int r = sieve_flags_of(vm, a, &s.flags, &s.n_flags);
	if (r < 0)
		return r;
	trace_store(vm, "keep", &s);
	return add_store(vm, SIEVE_KEEP, &s, false);
}

int sieve_do_discard(struct sieve_vm *vm, const struct sieve_args *a)
{
	struct sieve_action *x;
	(void)a;
	vm->result->keep = false;
	sieve_trace(vm, "discard");
	return sieve_action_new(vm, SIEVE_DISCARD, &x);
}

/* "INBOX" in any case is INBOX; others are as they are written. */
static struct str mailbox_name(struct str s)
{
	return str_eqi(s, STR("INBOX")) ? STR("INBOX") : s;
}

static bool is_mailbox(struct str s)
{
	return s.n > 0 && s.n <= 1000 && utf8_valid(s) && str_find(s, 0, '\0') == s.n;
}

/* :flags, :create, :mailboxid and :specialuse. */
static int take_store(struct sieve_vm *vm, const struct sieve_args *a, struct str mailbox,
		      struct sieve_store *s)
{
	*s = (struct sieve_store){.mailbox = mailbox_name(mailbox), .create = arg_has(a, S_CREATE)};
	int r = arg_text(vm, a, S_MAILBOXID, &s->mailbox_id);
	r = r < 0 ? r : arg_text(vm, a, S_SPECIALUSE, &s->special_use);
	return r < 0 ? r : sieve_flags_of(vm, a, &s->flags, &s->n_flags);
}

int sieve_do_fileinto(struct sieve_vm *vm, const struct sieve_args *a)
{
	struct sieve_store s;
	struct str mailbox;
	int r = arg_text(vm, a, S_P1, &mailbox);
	r = r < 0 ? r : take_store(vm, a, mailbox, &s);
	if (r < 0)
		return r;
	if (!is_mailbox(s.mailbox))
		return sieve_fail(vm, FAIL_SYNTAX, T("\"%.*s\" cannot be the name of a mailbox."),
				  STR_ARG(str_sub(s.mailbox, 0, 200)));
	trace_store(vm, "fileinto", &s);
	return add_store(vm, SIEVE_FILEINTO, &s, arg_has(a, S_COPY));
}

static int add_redirect(struct sieve_vm *vm, const struct sieve_args *a, struct str address)
{
	struct sieve_result *res = vm->result;
	struct sieve_action *x;
	struct str notify, ret;
	int r = no_refusal(vm);
	r = r < 0 ? r : arg_text(vm, a, S_NOTIFY, &notify);
	r = r < 0 ? r : arg_text(vm, a, S_RET, &ret);
	if (r < 0)
		return r;
	bool copy = arg_has(a, S_COPY);
	res->keep = res->keep && copy;
	sieve_trace(vm, "redirect \"%.*s\"", STR_ARG(address));
	for (size_t i = 0; i < res->n_actions; i++)
		if (res->actions[i].kind == SIEVE_REDIRECT &&
		    str_eqi(res->actions[i].address, address))
			return 0;
	if (vm->state->redirects++ >= vm->limits.redirects)
		return sieve_fail(vm, FAIL_LIMIT, T("A script may redirect a message %u times."),
				  vm->limits.redirects);
	r = sieve_action_new(vm, SIEVE_REDIRECT, &x);
	if (r < 0)
		return r;
	x->address = address;
	x->copy = copy;
	x->dsn_notify = notify;
	x->dsn_ret = ret;
	return 0;
}

int sieve_do_redirect(struct sieve_vm *vm, const struct sieve_args *a)
{
	struct str text, local, domain;
	int r = arg_text(vm, a, S_P1, &text);
	if (r < 0)
		return r;
	if (arg_has(a, S_LIST))
		return sieve_fail(vm, FAIL_UNSUPPORTED, "%s",
				  T("Redirecting to an external list is not offered here."));
	if (!sieve_address(vm->arena, text, &local, &domain))
		return sieve_fail(vm, FAIL_SYNTAX, T("\"%.*s\" is no mail address."),
				  STR_ARG(str_sub(text, 0, 200)));
	struct str address = sieve_address_write(vm->arena, local, domain);
	return address.p ? add_redirect(vm, a, address) : sieve_full(vm);
}

static int take_refusal(struct sieve_vm *vm, const struct sieve_args *a,
			enum sieve_action_kind kind)
{
	struct sieve_result *res = vm->result;
	struct sieve_action *x;
	struct str reason;
	int r = arg_text(vm, a, S_P1, &reason);
	if (r < 0)
		return r;
	if (find_refusal(vm))
		return sieve_fail(vm, FAIL_CONFLICT, "%s", T("A message can be refused once."));
	for (size_t i = 0; i < res->n_actions; i++) {
		enum sieve_action_kind k = res->actions[i].kind;
		if (k == SIEVE_KEEP || k == SIEVE_FILEINTO || k == SIEVE_VACATION ||
		    k == SIEVE_REDIRECT)
			return sieve_fail(vm, FAIL_CONFLICT,
					  T("A message that was stored or answered (line %u) "
					    "cannot be refused besides."),
					  res->actions[i].line);
	}
	res->keep = false;
	sieve_trace(vm, "%s", a->spec->name);
	r = sieve_action_new(vm, kind, &x);
	if (r == 0)
		x->text = reason;
	return r;
}

int sieve_do_reject(struct sieve_vm *vm, const struct sieve_args *a)
{
	return take_refusal(vm, a, SIEVE_REJECT);
}

int sieve_do_ereject(struct sieve_vm *vm, const struct sieve_args *a)
{
	return take_refusal(vm, a, SIEVE_EREJECT);
}

int sieve_take_fcc(struct sieve_vm *vm, const struct sieve_args *a, struct sieve_store *ret)
{
	struct str mailbox;
	*ret = (struct sieve_store){.mailbox = STR("")};
	if (!arg_has(a, S_FCC))
		return 0;
	int r = arg_text(vm, a, S_FCC, &mailbox);
	if (r == 0 && !is_mailbox(mailbox))
		return sieve_fail(vm, FAIL_SYNTAX, T("\"%.*s\" cannot be the name of a mailbox."),
				  STR_ARG(str_sub(mailbox, 0, 200)));
	r = r < 0 ? r : take_store(vm, a, mailbox, ret);
	if (r == 0 && !arg_has(a, S_FLAGS)) {
		ret->flags = NULL; /* those of the message are not those of the answer */
		ret->n_flags = 0;
	}
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* vacation (RFC 5230, 6131) and notify (RFC 5435, 5436): mail that a script writes. */
#include "base/text.h"
#include "codec/mime/address.h"
#include "codec/sieve/sieve_variable.h"
#include "codec/sieve/sieve_vm.h"

#define DAY 86400

/* The first field of this name, decoded; p is NULL when there is none. */
static int first_field(struct sieve_vm *vm, struct str name, struct str *ret)
{
	struct sieve_fields *set;
	int r = sieve_fields_get(vm, &set);
	*ret = STR_NULL;
	for (size_t i = 0; r == 0 && i < set->n; i++)
		if (str_eqi(set->p[i].name, name))
			return sieve_field_text(vm, &set->p[i], ret);
	return r;
}

static bool is_own(const struct sieve_vm *vm, struct str address, const struct str *more,
		   size_t n_more)
{
	const struct sieve_host *h = vm->host;
	bool own = (h->owner.n && str_eqi(address, h->owner)) ||
		   (h->envelope.to.n && str_eqi(address, h->envelope.to));
	for (size_t i = 0; i < h->n_addresses && !own; i++)
		own = str_eqi(address, h->addresses[i]);
	for (size_t i = 0; i < n_more && !own; i++)
		own = str_eqi(address, more[i]);
	return own;
}

/* Senders that are programs (RFC 5230 4.6 and what lists call themselves). */
static bool is_program(struct str sender)
{
	static const char *const names[] = {"mailer-daemon", "listserv", "majordomo",
					    "postmaster",    "noreply",	 "no-reply",
					    "do-not-reply"};
	struct str local = str_sub(sender, 0, str_rfind(sender, '@'));
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_eqi(local, str_c(names[i])))
			return true;
	return str_startsi(local, STR("owner-")) || str_endsi(local, STR("-request")) ||
	       str_endsi(local, STR("-owner")) || str_endsi(local, STR("-bounces")) ||
	       str_startsi(local, STR("bounce-")) || str_startsi(local, STR("srs0=")) ||
	       str_startsi(local, STR("prvs="));
}

/* Fields that say: no person awaits an answer to this. */
static int asks_for_no_answer(struct sieve_vm *vm, const char **ret)
{
	static const char *const lists[] = {"list-id",	       "list-post",    "list-help",
					    "list-owner",      "list-archive", "list-subscribe",
					    "list-unsubscribe"};
	struct str s;
	*ret = NULL;
	int r = first_field(vm, STR("Auto-Submitted"), &s);
	if (r == 0 && s.p && !str_startsi(s, STR("no")))
		*ret = T("it was written by a program (Auto-Submitted)");
	r = r < 0 ? r : first_field(vm, STR("Precedence"), &s);
	if (r == 0 &&
	    (str_eqi(s, STR("bulk")) || str_eqi(s, STR("list")) || str_eqi(s, STR("junk"))))
		*ret = T("it went to many (Precedence)");
	r = r < 0 ? r : first_field(vm, STR("X-Auto-Response-Suppress"), &s);
	if (r == 0 && (str_find_stri(s, 0, STR("oof")) < s.n || str_eqi(s, STR("all")) ||
		       str_find_stri(s, 0, STR("autoreply")) < s.n))
		*ret = T("its sender wants no automatic answer (X-Auto-Response-Suppress)");
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(lists); i++) {
		r = first_field(vm, str_c(lists[i]), &s);
		if (r == 0 && s.p)
			*ret = T("it comes from a mailing list");
	}
	return r;
}

/* Is the owner named in a field that says whom the message is for (RFC 5230 4.5)? */
static int names_owner(struct sieve_vm *vm, const struct str *more, size_t n_more)
{
	static const char *const names[] = {"to",	 "cc",	      "bcc",
					    "resent-to", "resent-cc", "resent-bcc"};
	struct sieve_fields *set;
	int r = sieve_fields_get(vm, &set);
	for (size_t i = 0; r == 0 && i < set->n; i++) {
		size_t k = 0;
		while (k < ARRAY_LEN(names) && !str_eqi(set->p[i].name, str_c(names[k])))
			k++;
		if (k == ARRAY_LEN(names))
			continue;
		AUTO(addr_parser) struct addr_parser p;
		struct addr a;
		addr_begin(&p, set->p[i].value);
		while (addr_next(&p, &a)) {
			AUTO(buf) struct buf b = BUF_INIT(ADDR_TEXT_MAX * 3);
			(void)buf_addf(&b, "%.*s@%.*s", STR_ARG(a.mailbox), STR_ARG(a.host));
			if (is_own(vm, buf_str(&b), more, n_more))
				return 1;
		}
	}
	return r;
}

/* Why nobody gets an answer, or NULL. */
static int no_answer(struct sieve_vm *vm, const struct sieve_args *a, const char **ret)
{
	struct str sender = vm->host->envelope.from, *more;
	size_t n;
	*ret = NULL;
	int r = arg_list(vm, a, S_ADDRESSES, &more, &n);
	r = r < 0 ? r : asks_for_no_answer(vm, ret);
	if (r < 0 || *ret)
		return r;
	if (sender.n == 0)
		*ret = T("it has no sender");
	else if (is_program(sender))
		*ret = T("its sender is a program");
	else if (is_own(vm, sender, more, n))
		*ret = T("it comes from this mailbox itself");
	if (*ret)
		return 0;
	r = names_owner(vm, more, n);
	if (r == 0)
		*ret = T("it does not name this mailbox as recipient (see :addresses)");
	return MIN(r, 0);
}

static uint64_t period(const struct sieve_args *a)
{
	if (arg_has(a, S_VACATION_SECONDS))
		return MIN(a->v[S_VACATION_SECONDS].number, UINT64_C(30) * DAY);
	uint64_t days = arg_has(a, S_DAYS) ? a->v[S_DAYS].number : 7;
	return MAX(MIN(days, UINT64_C(30)), UINT64_C(1)) * DAY;
}

/* What tells two answers apart, when the script gives no handle (RFC 5230 4.2). */
static struct str handle_of(struct sieve_vm *vm, const struct sieve_action *x)
{
	return arena_printf(vm->arena, "%.*s\n%.*s\n%d\n%.*s", STR_ARG(x->subject),
			    STR_ARG(x->from), x->mime, STR_ARG(x->text));
}

static int fill_vacation(struct sieve_vm *vm, const struct sieve_args *a, struct sieve_action *x)
{
	struct str subject;
	int r = arg_text(vm, a, S_P1, &x->text);
	r = r < 0 ? r : arg_text(vm, a, S_FROM, &x->from);
	r = r < 0 ? r : arg_text(vm, a, S_SUBJECT, &x->subject);
	r = r < 0 ? r : arg_text(vm, a, S_HANDLE, &x->handle);
	r = r < 0 ? r : sieve_take_fcc(vm, a, &x->store);
	x->mime = arg_has(a, S_TEXT_IS_MIME);
	x->seconds = period(a);
	x->address = vm->host->envelope.from;
	if (r == 0 && !arg_has(a, S_HANDLE))
		x->handle = handle_of(vm, x);
	if (r == 0 && !x->handle.p)
		return sieve_full(vm);
	if (r < 0 || arg_has(a, S_SUBJECT))
		return r;
	r = first_field(vm, STR("Subject"), &subject);
	x->subject = arena_printf(vm->arena, "Auto: %.*s", STR_ARG(subject));
	return r < 0 ? r : x->subject.p ? 0 : sieve_full(vm);
}

int sieve_do_vacation(struct sieve_vm *vm, const struct sieve_args *a)
{
	struct sieve_action *x;
	const char *why = NULL;
	for (size_t i = 0; i < vm->result->n_actions; i++) {
		enum sieve_action_kind k = vm->result->actions[i].kind;
		if (k == SIEVE_VACATION)
			return sieve_fail(vm, FAIL_CONFLICT, "%s",
					  T("A message can be answered by one \"vacation\" only."));
		if (k == SIEVE_REJECT || k == SIEVE_EREJECT)
			return sieve_fail(vm, FAIL_CONFLICT,
					  T("A message that was refused (line %u) cannot be stored "
					    "or answered besides."),
					  vm->result->actions[i].line);
	}
	int r = no_answer(vm, a, &why);
	if (r == 0 && why)
		sieve_trace(vm, T("vacation: no answer, because %s"), why);
	if (r < 0 || why)
		return r;
	r = sieve_action_new(vm, SIEVE_VACATION, &x);
	r = r < 0 ? r : fill_vacation(vm, a, x);
	if (r == 0)
		sieve_trace(vm, T("vacation: answer to \"%.*s\""), STR_ARG(x->address));
	return r;
}

/* Why no notice goes out: what a program wrote is told to nobody by another program. */
static int no_notice(struct sieve_vm *vm, const char **ret)
{
	struct str s;
	*ret = NULL;
	int r = first_field(vm, STR("Auto-Submitted"), &s);
	if (r == 0 && s.p && !str_startsi(s, STR("no")))
		*ret = T("it was written by a program (Auto-Submitted)");
	return r;
}

int sieve_do_notify(struct sieve_vm *vm, const struct sieve_args *a)
{
	struct sieve_action *x;
	struct str uri, to, importance;
	const char *why;
	int r = arg_text(vm, a, S_P1, &uri);
	if (r == 0 && !sieve_mailto(vm->arena, uri, &to))
		return sieve_fail(vm, FAIL_SYNTAX, T("\"%.*s\" names nobody to write to."),
				  STR_ARG(str_sub(uri, 0, 200)));
	r = r < 0 ? r : no_notice(vm, &why);
	if (r == 0 && why)
		sieve_trace(vm, T("notify: no notice, because %s"), why);
	if (r < 0 || why)
		return r;
	r = sieve_action_new(vm, SIEVE_NOTIFY, &x);
	if (r < 0)
		return r;
	x->address = uri;
	x->copy = true;
	r = arg_text(vm, a, S_MESSAGE, &x->text);
	r = r < 0 ? r : arg_text(vm, a, S_FROM, &x->from);
	r = r < 0 ? r : arg_text(vm, a, S_IMPORTANCE, &importance);
	r = r < 0 ? r : arg_list(vm, a, S_OPTIONS, &x->options, &x->n_options);
	r = r < 0 ? r : sieve_take_fcc(vm, a, &x->store);
	if (r < 0)
		return r;
	x->importance = importance.n ? importance.p[0] : '2';
	sieve_trace(vm, T("notify \"%.*s\""), STR_ARG(uri));
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of fields: header, address, exists, date, with :index, :mime and what belongs to it. */
#include "codec/mime/address.h"
#include "codec/mime/date.h"
#include "codec/mime/param.h"
#include "codec/sieve/sieve_date.h"
#include "codec/sieve/sieve_vm.h"

/* What a test does with a field: 1 enough. */
struct visit {
	struct sieve_vm *vm;
	const struct sieve_args *a;
	struct sieve_matcher *m;
	struct str name;
	int (*field)(struct visit *v, struct sieve_field *f);
	struct str part;    /* of date */
	struct str *params; /* of :param */
	size_t n_params;
};

/* The fields of one name in one set, all of them or the one that :index says. */
static int visit_set(struct visit *v, struct sieve_fields *set)
{
	uint64_t index = arg_has(v->a, S_INDEX) ? v->a->v[S_INDEX].number : 0, seen = 0;
	bool last = arg_has(v->a, S_LAST);
	int r = sieve_spend(v->vm, 1 + set->n / 16);
	for (size_t k = 0; r == 0 && k < set->n; k++) {
		struct sieve_field *f = &set->p[last ? set->n - 1 - k : k];
		if (!str_eqi(f->name, v->name))
			continue;
		if (index == 0 || ++seen == index)
			r = v->field(v, f);
		if (index && seen == index)
			break;
	}
	return r;
}

/* In the message's header, or (with :mime) in those of parts. */
static int visit_parts(struct visit *v)
{
	const struct mime_map *map = v->vm->message->map;
	struct sieve_fields *set;
	uint32_t part = 0;
	if (!arg_has(v->a, S_MIME)) {
		int r = sieve_fields_get(v->vm, &set);
		return r < 0 ? r : visit_set(v, set);
	}
	(void)sieve_current_part(v->vm, &part);
	uint32_t end = arg_has(v->a, S_ANYCHILD) ? map->parts[part].end : part + 1;
	int r = 0;
	for (; r == 0 && part < end; part++) {
		r = sieve_part_fields(v->vm, part, &set);
		r = r < 0 ? r : visit_set(v, set);
	}
	return r;
}

static int visit_names(struct visit *v)
{
	struct str *names;
	size_t n;
	int r = arg_list(v->vm, v->a, S_P1, &names, &n);
	for (size_t i = 0; r == 0 && i < n; i++) {
		v->name = names[i];
		r = visit_parts(v);
	}
	return r;
}

static int offer_params(struct visit *v, struct lex *x)
{
	AUTO(arena) struct arena scratch = ARENA_INIT(KIB(64));
	struct params params = {0};
	params_parse(x, &scratch, &params);
	int r = 0;
	for (size_t i = 0; r == 0 && i < v->n_params; i++) {
		struct str value = params_find(&params, v->params[i]);
		if (value.p)
			r = matcher_value(v->m, value);
	}
	return r;
}

/* RFC 5703 4.2: type, subtype or parameters of a structured field. */
static int offer_structured(struct visit *v, struct sieve_field *f)
{
	struct lex x = {.s = f->value};
	(void)lex_cfws(&x, NULL);
	struct str type = lex_run(&x, lex_is_token), subtype = STR("");
	(void)lex_cfws(&x, NULL);
	bool slash = lex_peek(&x) == '/';
	if (slash) {
		x.at++;
		(void)lex_cfws(&x, NULL);
		subtype = lex_run(&x, lex_is_token);
	}
	if (arg_has(v->a, S_PARAM))
		return offer_params(v, &x);
	if (arg_has(v->a, S_TYPE))
		return type.n ? matcher_value(v->m, type) : 0;
	if (arg_has(v->a, S_SUBTYPE))
		return type.n ? matcher_value(v->m, subtype) : 0;
	if (!slash)
		return type.n ? matcher_value(v->m, type) : 0;
	struct str both = arena_printf(v->vm->arena, "%.*s/%.*s", STR_ARG(type), STR_ARG(subtype));
	return both.p ? matcher_value(v->m, both) : sieve_full(v->vm);
}

static int offer_text(struct visit *v, struct sieve_field *f)
{
	struct str text;
	uint64_t structured =
		S_BIT(S_TYPE) | S_BIT(S_SUBTYPE) | S_BIT(S_CONTENTTYPE) | S_BIT(S_PARAM);
	if (v->a->present & structured)
		return offer_structured(v, f);
	int r = sieve_field_text(v->vm, f, &text);
	return r < 0 ? r : matcher_value(v->m, text);
}

int sieve_test_header(struct sieve_vm *vm, const struct sieve_args *a)
{
	AUTO(sieve_matcher) struct sieve_matcher m = {0};
	struct visit v = {.vm = vm, .a = a, .m = &m, .field = offer_text};
	int r = matcher_begin(vm, &m, a, S_P2);
	r = r < 0 ? r : arg_list(vm, a, S_PARAM, &v.params, &v.n_params);
	r = r < 0 ? r : visit_names(&v);
	return r ? r : matcher_end(&m);
}

static int offer_addresses(struct visit *v, struct sieve_field *f)
{
	AUTO(addr_parser) struct addr_parser p;
	struct addr a;
	uint8_t part = arg_has(v->a, S_PART) ? v->a->v[S_PART].a : PART_ALL;
	struct str text;
	unsigned n = 0;
	int r = sieve_spend(v->vm, f->value.n / 64);
	addr_begin(&p, f->value);
	while (r == 0 && addr_next(&p, &a)) {
		if (a.kind != ADDR_MAILBOX)
			continue;
		n++;
		if (a.mailbox.n == 0 || a.host.n == 0) {
			/* No address: compared as it stands, as long as no part of it is asked
			 * for. */
			r = sieve_field_text(v->vm, f, &text);
			if (r == 0 && part == PART_ALL)
				r = matcher_value(v->m, text);
			return r;
		}
		struct str local = arena_str(v->vm->arena, a.mailbox);
		struct str host = arena_str(v->vm->arena, a.host);
		struct str all =
			arena_printf(v->vm->arena, "%.*s@%.*s", STR_ARG(local), STR_ARG(host));
		if (!all.p)
			return sieve_full(v->vm);
		if (sieve_address_part(v->vm, part, local, host, all, &text))
			r = matcher_value(v->m, text);
	}
	return r;
}

int sieve_test_address(struct sieve_vm *vm, const struct sieve_args *a)
{
	AUTO(sieve_matcher) struct sieve_matcher m = {0};
	struct visit v = {.vm = vm, .a = a, .m = &m, .field = offer_addresses};
	int r = matcher_begin(vm, &m, a, S_P2);
	r = r < 0 ? r : visit_names(&v);
	return r ? r : matcher_end(&m);
}

static int found(struct visit *v, struct sieve_field *f)
{
	(void)v;
	(void)f;
	return 1;
}

int sieve_test_exists(struct sieve_vm *vm, const struct sieve_args *a)
{
	struct visit v = {.vm = vm, .a = a, .field = found};
	struct str *names;
	size_t n;
	int r = arg_list(vm, a, S_P1, &names, &n);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		v.name = names[i];
		r = visit_parts(&v);
		if (r != 1)
			return r;
	}
	return 1;
}

static int zone_of(struct sieve_vm *vm, const struct sieve_args *a, int original, int *ret)
{
	struct str zone;
	int r = arg_text(vm, a, S_ZONE, &zone);
	*ret = arg_has(a, S_ORIGINALZONE) ? original : vm->host->zone_min;
	if (r == 0 && arg_has(a, S_ZONE) && !sieve_zone(zone, ret))
		*ret = vm->host->zone_min;
	return r;
}

static int offer_moment(struct visit *v, struct wall_us t, int zone)
{
	AUTO(buf) struct buf b = BUF_INIT(128);
	sieve_date_part(&b, v->part, t, zone);
	struct str s = arena_str(v->vm->arena, buf_str(&b));
	return s.p ? matcher_value(v->m, s) : 0;
}

static int offer_date(struct visit *v, struct sieve_field *f)
{
	struct wall_us t;
	int zone, want;
	struct str text = f->value;
	/* "Received" has its date behind the last semicolon. */
	size_t semicolon = str_rfind(text, ';');
	if (semicolon < text.n)
		text = str_skip(text, semicolon + 1);
	if (!date_parse(text, &t, &zone))
		return 0;
	int r = zone_of(v->vm, v->a, zone, &want);
	return r < 0 ? r : offer_moment(v, t, want);
}

int sieve_test_date(struct sieve_vm *vm, const struct sieve_args *a)
{
	AUTO(sieve_matcher) struct sieve_matcher m = {0};
	struct visit v = {.vm = vm, .a = a, .m = &m, .field = offer_date};
	int r = matcher_begin(vm, &m, a, S_P3);
	r = r < 0 ? r : arg_text(vm, a, S_P1, &v.name);
	r = r < 0 ? r : arg_text(vm, a, S_P2, &v.part);
	r = r < 0 ? r : visit_parts(&v);
	return r ? r : matcher_end(&m);
}

int sieve_test_currentdate(struct sieve_vm *vm, const struct sieve_args *a)
{
	AUTO(sieve_matcher) struct sieve_matcher m = {0};
	struct visit v = {.vm = vm, .a = a, .m = &m};
	int zone;
	int r = matcher_begin(vm, &m, a, S_P2);
	r = r < 0 ? r : arg_text(vm, a, S_P1, &v.part);
	r = r < 0 ? r : zone_of(vm, a, vm->host->zone_min, &zone);
	r = r < 0 ? r : offer_moment(&v, vm->host->now, zone);
	return r ? r : matcher_end(&m);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of what is no header: envelope, size, body, server, mailboxes, scores. */
#include "codec/sieve/sieve_variable.h"
#include "codec/sieve/sieve_vm.h"

/* An address of the envelope: `from` may be empty, which is an address, too. */
static int offer_path(struct sieve_vm *vm, struct sieve_matcher *m, const struct sieve_args *a,
		      struct str path)
{
	uint8_t part = arg_has(a, S_PART) ? a->v[S_PART].a : PART_ALL;
	size_t at = str_rfind(path, '@');
	struct str text;
	if (!sieve_address_part(vm, part, str_sub(path, 0, at), str_skip(path, at + 1), path,
				&text))
		return 0;
	return matcher_value(m, text);
}

static int offer_envelope(struct sieve_vm *vm, struct sieve_matcher *m, const struct sieve_args *a,
			  struct str name)
{
	const struct sieve_envelope *e = &vm->host->envelope;
	struct str rest = e->notify, word;
	int r = 0;
	if (str_eqi(name, STR("from")))
		return offer_path(vm, m, a, e->from);
	if (str_eqi(name, STR("to")))
		return offer_path(vm, m, a, e->to);
	if (str_eqi(name, STR("auth")))
		return e->auth.n ? offer_path(vm, m, a, e->auth) : 0;
	if (str_eqi(name, STR("orcpt"))) {
		struct str address = str_skip(e->orcpt, str_find(e->orcpt, 0, ';') + 1);
		if (!e->orcpt.p)
			return 0;
		return arg_has(a, S_PART) ? offer_path(vm, m, a, address)
					  : matcher_value(m, e->orcpt);
	}
	if (str_eqi(name, STR("ret")))
		return e->ret.p ? matcher_value(m, e->ret) : 0;
	if (str_eqi(name, STR("envid")))
		return e->envid.p ? matcher_value(m, e->envid) : 0;
	if (str_eqi(name, STR("notify")))
		while (r == 0 && str_cut(&rest, ',', &word))
			r = matcher_value(m, word);
	return r;
}

int sieve_test_envelope(struct sieve_vm *vm, const struct sieve_args *a)
{
	AUTO(sieve_matcher) struct sieve_matcher m = {0};
	struct str *names;
	size_t n;
	int r = matcher_begin(vm, &m, a, S_P2);
	r = r < 0 ? r : arg_list(vm, a, S_P1, &names, &n);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = offer_envelope(vm, &m, a, names[i]);
	return r ? r : matcher_end(&m);
}

int sieve_test_size(struct sieve_vm *vm, const struct sieve_args *a)
{
	uint64_t size = vm->message->size, n = a->v[S_P1].number;
	struct str header;
	int r = sieve_header_now(vm, &header);
	if (r < 0)
		return r;
	if (header.p)
		size = size - MIN(size, (uint64_t)vm->message->header.n) + header.n;
	return arg_has(a, S_OVER) ? size > n : size < n;
}

/* RFC 5173 4.2: "text", "text/html", or "" for all. */
static bool type_fits(const struct mime_part *p, const struct str *types, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t slash = str_find(types[i], 0, '/');
		struct str type = str_sub(types[i], 0, slash), sub = str_skip(types[i], slash + 1);
		if (types[i].n == 0)
			return true;
		if (type.n == 0 || (slash < types[i].n && sub.n == 0) ||
		    str_find(sub, 0, '/') < sub.n)
			continue;
		if (str_eqi(type, p->type) && (slash == types[i].n || str_eqi(sub, p->subtype)))
			return true;
	}
	return false;
}

/* The text before (behind) the delimiter line that stands at the end (beginning) of it. */
static struct str without_delimiter(struct str s, bool behind)
{
	size_t last = str_starts(s, STR("--")) ? 0 : s.n, at = 0;
	if (behind) {
		at = last == 0 ? 0 : str_find_str(s, 0, STR("\n--")) + 1;
		return str_skip(s, str_find(s, at, '\n') + 1);
	}
	while ((at = str_find_str(s, at, STR("\n--"))) < s.n)
		last = ++at;
	return str_sub(s, 0, last);
}

/* In front of the first part of a multipart, and behind the last. */
static int offer_around(struct sieve_vm *vm, struct sieve_matcher *m, uint32_t part)
{
	const struct mime_part *p = &vm->message->map->parts[part];
	uint64_t first = p->body_off + p->body_len, last = p->body_off;
	struct str text;
	for (uint32_t i = part + 1; i < p->end; i++) {
		const struct mime_part *c = &vm->message->map->parts[i];
		first = MIN(first, c->header_off);
		last = MAX(last, c->body_off + c->body_len);
	}
	int r = sieve_read(vm, p->body_off, first - p->body_off, vm->limits.body_bytes, &text);
	r = r < 0 ? r : matcher_value(m, without_delimiter(text, false));
	if (r != 0)
		return r;
	last = MAX(first, last);
	r = sieve_read(vm, last, p->body_off + p->body_len - last, vm->limits.body_bytes, &text);
	return r < 0 ? r : matcher_value(m, without_delimiter(text, true));
}

static int offer_part(struct sieve_vm *vm, struct sieve_matcher *m, const struct sieve_args *a,
		      uint32_t part)
{
	const struct mime_part *p = &vm->message->map->parts[part];
	struct str text;
	int r;
	if (p->flags & MIME_PART_MULTIPART)
		return arg_has(a, S_CONTENT) ? offer_around(vm, m, part) : 0;
	if (p->flags & MIME_PART_MESSAGE) {
		const struct mime_part *inner = &vm->message->map->parts[part + 1];
		if (!arg_has(a, S_CONTENT))
			return 0;
		r = sieve_read(vm, inner->header_off, inner->header_len, KIB(64), &text);
		if (r == 0 && str_ends(text, STR("\n\r\n")))
			text.n -= 2; /* the empty line belongs to neither */
		return r < 0 ? r : matcher_value(m, text);
	}
	if (p->encoding == MIME_ENC_OTHER || (!arg_has(a, S_CONTENT) && !sieve_part_is_text(p)))
		return 0;
	r = sieve_part_text(vm, part, !arg_has(a, S_CONTENT), &text);
	return r < 0 ? r : matcher_value(m, text);
}

int sieve_test_body(struct sieve_vm *vm, const struct sieve_args *a)
{
	AUTO(sieve_matcher) struct sieve_matcher m = {0};
	const struct mime_map *map = vm->message->map;
	struct str *types, text;
	size_t n;
	int r = matcher_begin(vm, &m, a, S_P1);
	r = r < 0 ? r : arg_list(vm, a, S_CONTENT, &types, &n);
	m.silent = true;
	if (map->flags & MIME_NO_BLANK_LINE && map->parts[0].body_len == 0)
		return r < 0 ? r : matcher_end(&m); /* RFC 5173 4: there is no body */
	if (r == 0 && arg_has(a, S_RAW)) {
		const struct mime_part *p = &map->parts[0];
		r = sieve_read(vm, p->body_off, p->body_len, vm->limits.body_bytes, &text);
		r = r < 0 ? r : matcher_value(&m, text);
	}
	for (uint32_t i = 0; r == 0 && !arg_has(a, S_RAW) && i < map->n_parts; i++)
		if (!arg_has(a, S_CONTENT) || type_fits(&map->parts[i], types, n))
			r = offer_part(vm, &m, a, i);
	return r ? r : matcher_end(&m);
}

static int push_seen(struct sieve_vm *vm, struct sieve_seen seen)
{
	struct sieve_result *res = vm->result;
	for (size_t i = 0; i < res->n_seen; i++)
		if (str_eq(res->seen[i].id, seen.id))
			return 0;
	if (res->n_seen >= vm->limits.actions)
		return sieve_full(vm);
	if (!vm->seen_cap || res->n_seen == vm->seen_cap) {
		size_t cap = res->n_seen * 2 + 4;
		struct sieve_seen *more = arena_array(vm->arena, struct sieve_seen, cap);
		if (!more)
			return sieve_full(vm);
		if (res->n_seen)
			memcpy(more, res->seen, res->n_seen * sizeof *more);
		res->seen = more;
		vm->seen_cap = cap;
	}
	res->seen[res->n_seen++] = seen;
	return 0;
}

static int duplicate_id(struct sieve_vm *vm, const struct sieve_args *a, struct str *ret)
{
	struct str handle, name = STR("message-id"), value = STR_NULL;
	struct sieve_fields *set;
	int r = arg_text(vm, a, S_HANDLE, &handle);
	r = r < 0 ? r : arg_text(vm, a, S_UNIQUEID, &value);
	if (r == 0 && arg_has(a, S_HEADER))
		r = arg_text(vm, a, S_HEADER, &name);
	r = r < 0 ? r : sieve_fields_get(vm, &set);
	*ret = STR_NULL;
	for (size_t i = 0; r == 0 && !arg_has(a, S_UNIQUEID) && i < set->n; i++)
		if (str_eqi(set->p[i].name, name)) {
			r = sieve_field_text(vm, &set->p[i], &value);
			break;
		}
	if (r < 0 || value.n == 0)
		return r;
	*ret = arena_printf(vm->arena, "%zu:%.*s:%.*s", handle.n, STR_ARG(handle), STR_ARG(value));
	return ret->p ? 0 : sieve_full(vm);
}

int sieve_test_duplicate(struct sieve_vm *vm, const struct sieve_args *a)
{
	struct str id;
	uint64_t seconds = arg_has(a, S_SECONDS) ? a->v[S_SECONDS].number : 3600;
	int r = duplicate_id(vm, a, &id);
	if (r < 0 || !id.p)
		return r;
	seconds = MIN(seconds, UINT64_C(86400));
	bool seen = vm->host->duplicate && vm->host->duplicate(vm->host->ctx, id);
	r = push_seen(vm, (struct sieve_seen){id, seconds, arg_has(a, S_EDIT_LAST)});
	return r < 0 ? r : seen;
}

static bool environment(struct sieve_vm *vm, struct str name, struct str *ret)
{
	static const struct {
		const char *name, *value;
	} ours[] = {{"name", "barid"},
		    {"version", BARID_VERSION},
		    {"location", "MDA"},
		    {"phase", "during"}};
	const struct sieve_host *h = vm->host;
	bool imap = str_startsi(name, STR("imap."));
	if (imap && !(vm->frame->program->extensions & X_BIT(X_IMAPSIEVE)))
		return false;
	if (h->environment && h->environment(h->ctx, name, ret))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		if (str_eqi(name, str_c(ours[i].name))) {
			*ret = str_c(ours[i].value);
			return true;
		}
	return false;
}

int sieve_test_environment(struct sieve_vm *vm, const struct sieve_args *a)
{
	AUTO(sieve_matcher) struct sieve_matcher m = {0};
	struct str name, value;
	int r = matcher_begin(vm, &m, a, S_P2);
	r = r < 0 ? r : arg_text(vm, a, S_P1, &name);
	if (r < 0 || !environment(vm, name, &value))
		return r; /* RFC 5183 4: what is not known does not even count */
	r = matcher_value(&m, value);
	return r ? r : matcher_end(&m);
}

/* Tests that are true when it holds of every text of their list. */
static int all_of(struct sieve_vm *vm, const struct sieve_args *a, unsigned slot,
		  bool (*holds)(struct sieve_vm *vm, const struct sieve_args *a, struct str s))
{
	struct str *list;
	size_t n;
	int r = arg_list(vm, a, slot, &list, &n);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		if (!holds(vm, a, list[i]))
			return 0;
	return 1;
}

static bool method_holds(struct sieve_vm *vm, const struct sieve_args *a, struct str s)
{
	struct str to;
	(void)a;
	return sieve_mailto(vm->arena, s, &to);
}

int sieve_test_valid_method(struct sieve_vm *vm, const struct sieve_args *a)
{
	return all_of(vm, a, S_P1, method_holds);
}

int sieve_test_capability(struct sieve_vm *vm, const struct sieve_args *a)
{
	AUTO(sieve_matcher) struct sieve_matcher m = {0};
	struct str uri, name, to;
	int r = matcher_begin(vm, &m, a, S_P3);
	r = r < 0 ? r : arg_text(vm, a, S_P1, &uri);
	r = r < 0 ? r : arg_text(vm, a, S_P2, &name);
	/* RFC 5435 5: whether somebody reads mail now, nobody knows. */
	if (r == 0 && str_eqi(name, STR("online")) && sieve_mailto(vm->arena, uri, &to))
		r = matcher_value(&m, STR("maybe"));
	return r ? r : matcher_end(&m);
}

static bool list_holds(struct sieve_vm *vm, const struct sieve_args *a, struct str s)
{
	(void)a;
	return vm->host->list_valid && vm->host->list_valid(vm->host->ctx, s);
}

int sieve_test_valid_list(struct sieve_vm *vm, const struct sieve_args *a)
{
	return all_of(vm, a, S_P1, list_holds);
}

static bool mailbox_holds(struct sieve_vm *vm, const struct sieve_args *a, struct str s)
{
	(void)a;
	return vm->host->mailbox_exists && vm->host->mailbox_exists(vm->host->ctx, s);
}

int sieve_test_mailboxexists(struct sieve_vm *vm, const struct sieve_args *a)
{
	return all_of(vm, a, S_P1, mailbox_holds);
}

static bool mailbox_id_holds(struct sieve_vm *vm, const struct sieve_args *a, struct str s)
{
	(void)a;
	return vm->host->mailbox_id_exists && vm->host->mailbox_id_exists(vm->host->ctx, s);
}

int sieve_test_mailboxidexists(struct sieve_vm *vm, const struct sieve_args *a)
{
	return all_of(vm, a, S_P1, mailbox_id_holds);
}

static bool use_holds(struct sieve_vm *vm, const struct sieve_args *a, struct str s)
{
	struct str mailbox = STR_NULL;
	if (arg_has(a, S_P1) && arg_text(vm, a, S_P1, &mailbox) < 0)
		return false;
	return vm->host->special_use && vm->host->special_use(vm->host->ctx, mailbox, s);
}

int sieve_test_specialuse_exists(struct sieve_vm *vm, const struct sieve_args *a)
{
	return all_of(vm, a, S_P2, use_holds);
}

static bool annotated(struct sieve_vm *vm, struct str mailbox, struct str name, struct str *ret)
{
	return vm->host->metadata &&
	       vm->host->metadata(vm->host->ctx, mailbox, name, vm->arena, ret);
}

static int test_annotation(struct sieve_vm *vm, const struct sieve_args *a, struct str mailbox,
			   unsigned name_slot)
{
	AUTO(sieve_matcher) struct sieve_matcher m = {0};
	struct str name, value;
	int r = matcher_begin(vm, &m, a, name_slot + 1);
	r = r < 0 ? r : arg_text(vm, a, name_slot, &name);
	if (r == 0 && annotated(vm, mailbox, name, &value))
		r = matcher_value(&m, value);
	return r ? r : matcher_end(&m);
}

int sieve_test_metadata(struct sieve_vm *vm, const struct sieve_args *a)
{
	struct str mailbox;
	int r = arg_text(vm, a, S_P1, &mailbox);
	return r < 0 ? r : test_annotation(vm, a, mailbox, S_P2);
}

int sieve_test_servermetadata(struct sieve_vm *vm, const struct sieve_args *a)
{
	return test_annotation(vm, a, STR_NULL, S_P1);
}

static bool metadata_holds(struct sieve_vm *vm, const struct sieve_args *a, struct str s)
{
	struct str mailbox, value;
	return arg_text(vm, a, S_P1, &mailbox) == 0 && annotated(vm, mailbox, s, &value);
}

int sieve_test_metadataexists(struct sieve_vm *vm, const struct sieve_args *a)
{
	return all_of(vm, a, S_P2, metadata_holds);
}

static bool servermetadata_holds(struct sieve_vm *vm, const struct sieve_args *a, struct str s)
{
	struct str value;
	(void)a;
	return annotated(vm, STR_NULL, s, &value);
}

int sieve_test_servermetadataexists(struct sieve_vm *vm, const struct sieve_args *a)
{
	return all_of(vm, a, S_P1, servermetadata_holds);
}

/* A score; when nobody looked it is 0, and does not count. */
static int test_score(struct sieve_vm *vm, const struct sieve_args *a, bool looked, int score)
{
	AUTO(sieve_matcher) struct sieve_matcher m = {0};
	char text[16];
	int n = snprintf(text, sizeof text, "%d", looked ? score : 0);
	int r = matcher_begin(vm, &m, a, S_P1);
	if (r == 0 && (looked || m.match != MATCH_COUNT))
		r = matcher_value(&m, str_make(text, (size_t)n));
	return r ? r : matcher_end(&m);
}

/* RFC 5235 2.2: 0 nobody looked, 1 is no spam, 10 surely is; of a hundred with :percent. */
int sieve_test_spam(struct sieve_vm *vm, const struct sieve_args *a)
{
	int percent = MIN(vm->host->spam_percent, 100);
	return test_score(vm, a, percent >= 0,
			  arg_has(a, S_PERCENT) ? percent : 1 + percent * 9 / 100);
}

int sieve_test_virus(struct sieve_vm *vm, const struct sieve_args *a)
{
	return test_score(vm, a, vm->host->virus > 0, MIN(vm->host->virus, 5));
}

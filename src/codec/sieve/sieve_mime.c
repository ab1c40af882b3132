/* SPDX-License-Identifier: Apache-2.0 */
/* Parts that are read and changed: extracttext, replace, enclose (RFC 5703), convert (RFC 6558). */
#include "base/text.h"
#include "codec/mime/header.h"
#include "codec/sieve/sieve_vm.h"

int sieve_do_extracttext(struct sieve_vm *vm, const struct sieve_args *a)
{
	struct str name, text = STR("");
	uint32_t part = 0;
	int r = arg_text(vm, a, S_P1, &name);
	if (r < 0)
		return r;
	if (!sieve_current_part(vm, &part))
		return sieve_fail(vm, FAIL_SYNTAX, "%s",
				  T("\"extracttext\" stands in the block of a \"foreverypart\"."));
	if (sieve_part_is_text(&vm->message->map->parts[part]))
		r = sieve_part_text(vm, part, true, &text);
	if (r == 0 && arg_has(a, S_FIRST)) {
		size_t to = (size_t)MIN(a->v[S_FIRST].number, (uint64_t)text.n);
		while (to > 0 && to < text.n && ((unsigned char)text.p[to] & 0xc0) == 0x80)
			to--;
		text = str_sub(text, 0, to);
	}
	r = r < 0 ? r : sieve_modify(vm, a, &text);
	r = r < 0 ? r : sieve_variable_set(vm, name, text);
	if (r == 0)
		sieve_trace(vm, T("set \"%.*s\" to \"%.*s\""), STR_ARG(name),
			    STR_ARG(str_sub(text, 0, 200)));
	return r;
}

static struct sieve_piece original(uint64_t off, uint64_t end)
{
	return (struct sieve_piece){.off = off, .len = end - off};
}

/* The pieces of the body now; at first it is one, the old body. */
static int pieces(struct sieve_vm *vm, size_t room, struct sieve_piece **ret, size_t *ret_n)
{
	struct sieve_state *s = vm->state;
	const struct mime_part *p = &vm->message->map->parts[0];
	*ret = arena_array(vm->arena, struct sieve_piece, s->n_body + room + 1);
	if (!*ret || s->n_body > 1000)
		return sieve_full(vm);
	if (s->n_body) {
		memcpy(*ret, s->body, s->n_body * sizeof **ret);
		*ret_n = s->n_body;
	} else {
		(*ret)[0] = original(p->body_off, p->body_off + p->body_len);
		*ret_n = 1;
	}
	return 0;
}

/* Put @text where [from, to) of the old message stands. What was replaced before stays. */
static int replace_range(struct sieve_vm *vm, uint64_t from, uint64_t to, struct str text)
{
	struct sieve_piece *list, *out;
	size_t n, count = 0;
	int r = pieces(vm, 2, &list, &n);
	if (r < 0)
		return r;
	out = arena_array(vm->arena, struct sieve_piece, n + 3);
	if (!out)
		return sieve_full(vm);
	for (size_t i = 0; i < n; i++) {
		struct sieve_piece p = list[i];
		if (p.text.p || from < p.off || to > p.off + p.len || count > i) {
			out[count++] = p;
			continue;
		}
		out[count++] = original(p.off, from);
		out[count++] = (struct sieve_piece){.text = text};
		out[count++] = original(to, p.off + p.len);
	}
	vm->state->body = out;
	vm->state->n_body = count;
	return 0;
}

static bool is_mime_field(struct str name)
{
	return str_startsi(name, STR("content-")) || str_eqi(name, STR("mime-version"));
}

/* Take fields out of the header: those of MIME, and one more by its name. */
static int drop_fields(struct sieve_vm *vm, bool mime, struct str name)
{
	struct sieve_fields *set;
	int r = sieve_fields_get(vm, &set);
	size_t kept = 0;
	for (size_t i = 0; r == 0 && i < set->n; i++)
		if (!(mime && is_mime_field(set->p[i].name)) &&
		    !(name.n && str_eqi(set->p[i].name, name)))
			set->p[kept++] = set->p[i];
	if (r == 0)
		set->n = kept;
	vm->state->edited = true;
	vm->state->edited_header = STR_NULL;
	return r;
}

static int set_field(struct sieve_vm *vm, struct str name, struct str value)
{
	int r = drop_fields(vm, false, name);
	AUTO(buf) struct buf line = BUF_INIT(value.n * 3 + 16);
	header_unfold(&line, value);
	return r < 0 ? r : sieve_fields_add(vm, &vm->state->fields, name, buf_str(&line), true);
}

/* Fields at the front of a text of :mime go into the header; the rest is the body. */
static int take_fields(struct sieve_vm *vm, struct str *text)
{
	struct header_field f;
	struct str rest = *text;
	int r = 0;
	while (r == 0 && header_next(&rest, &f))
		if (is_mime_field(f.name))
			r = sieve_fields_add(vm, &vm->state->fields, f.name, f.value, true);
	*text = rest;
	return r;
}

static int replace_whole(struct sieve_vm *vm, const struct sieve_args *a, struct str text)
{
	struct str value;
	int r = drop_fields(vm, true, STR(""));
	r = r < 0 ? r : set_field(vm, STR("MIME-Version"), STR("1.0"));
	if (r == 0 && arg_has(a, S_TEXT_IS_MIME)) {
		r = take_fields(vm, &text);
	} else if (r == 0) {
		r = set_field(vm, STR("Content-Type"), STR("text/plain; charset=utf-8"));
		r = r < 0 ? r : set_field(vm, STR("Content-Transfer-Encoding"), STR("8bit"));
	}
	if (r == 0 && arg_has(a, S_SUBJECT)) {
		r = arg_text(vm, a, S_SUBJECT, &value);
		r = r < 0 ? r : set_field(vm, STR("Subject"), value);
	}
	if (r == 0 && arg_has(a, S_FROM)) {
		r = arg_text(vm, a, S_FROM, &value);
		r = r < 0 ? r : set_field(vm, STR("From"), value);
	}
	struct sieve_piece *p = arena_new(vm->arena, struct sieve_piece);
	if (!p)
		return sieve_full(vm);
	p->text = text.p ? text : STR("");
	vm->state->body = p;
	vm->state->n_body = 1;
	return r;
}

static int replace_part(struct sieve_vm *vm, uint32_t part, bool mime, struct str text)
{
	const struct mime_part *p = &vm->message->map->parts[part];
	struct str whole = arena_printf(vm->arena, "%s%.*s",
					mime ? ""
					     : "Content-Type: text/plain; charset=utf-8\r\n"
					       "Content-Transfer-Encoding: 8bit\r\n\r\n",
					STR_ARG(text));
	if (!whole.p)
		return sieve_full(vm);
	return replace_range(vm, p->header_off, p->body_off + p->body_len, whole);
}

int sieve_do_replace(struct sieve_vm *vm, const struct sieve_args *a)
{
	struct str text;
	uint32_t part = 0;
	int r = arg_text(vm, a, S_P1, &text);
	if (r < 0)
		return r;
	(void)sieve_current_part(vm, &part);
	sieve_trace(vm, T("replace part %u"), part);
	return part == 0 ? replace_whole(vm, a, text)
			 : replace_part(vm, part, arg_has(a, S_TEXT_IS_MIME), text);
}

/* A boundary that does not stand in what it parts: made of all the text that the script has, and
 * looked for in the header; in a body that nobody sent with it, it cannot be by chance. */
static struct str boundary(struct sieve_vm *vm, struct str header, struct str text)
{
	uint64_t h = UINT64_C(14695981039346656037);
	for (size_t i = 0; i < header.n; i++)
		h = (h ^ (unsigned char)header.p[i]) * UINT64_C(1099511628211);
	for (size_t i = 0; i < text.n; i++)
		h = (h ^ (unsigned char)text.p[i]) * UINT64_C(1099511628211);
	return arena_printf(vm->arena, "=_barid_%016llx_%llx", (unsigned long long)h,
			    (unsigned long long)vm->message->size);
}

/* The fields of the new message around: those of the old one that :headers names, and who wrote
 * what to whom. */
static int keep_outer(struct sieve_vm *vm, const struct str *names, size_t n)
{
	static const char *const outer[] = {
		"return-path", "delivered-to", "received",   "from",	"to",
		"cc",	       "date",	       "message-id", "subject", "auto-submitted"};
	struct sieve_fields *set;
	int r = sieve_fields_get(vm, &set);
	size_t kept = 0;
	for (size_t i = 0; r == 0 && i < set->n; i++) {
		bool keep = false;
		for (size_t k = 0; k < ARRAY_LEN(outer) && !keep; k++)
			keep = str_eqi(set->p[i].name, str_c(outer[k]));
		for (size_t k = 0; k < n && !keep; k++)
			keep = str_eqi(set->p[i].name, names[k]);
		if (keep && !is_mime_field(set->p[i].name))
			set->p[kept++] = set->p[i];
	}
	if (r == 0)
		set->n = kept;
	return r;
}

int sieve_do_enclose(struct sieve_vm *vm, const struct sieve_args *a)
{
	struct str text, subject, header, *names;
	struct sieve_piece *list;
	size_t n, n_names;
	int r = arg_text(vm, a, S_P1, &text);
	r = r < 0 ? r : arg_text(vm, a, S_SUBJECT, &subject);
	r = r < 0 ? r : arg_list(vm, a, S_HEADERS, &names, &n_names);
	r = r < 0 ? r : sieve_header_now(vm, &header);
	r = r < 0 ? r : pieces(vm, 2, &list, &n);
	if (r < 0)
		return r;
	header = header.p ? header : vm->message->header;
	struct str b = boundary(vm, header, text);
	struct str front = arena_printf(vm->arena,
					"--%.*s\r\nContent-Type: text/plain; charset=utf-8\r\n"
					"Content-Transfer-Encoding: 8bit\r\n\r\n%.*s\r\n--%.*s\r\n"
					"Content-Type: message/rfc822\r\n\r\n%.*s",
					STR_ARG(b), STR_ARG(text), STR_ARG(b), STR_ARG(header));
	struct str back = arena_printf(vm->arena, "\r\n--%.*s--\r\n", STR_ARG(b));
	struct str type = arena_printf(vm->arena, "multipart/mixed; boundary=\"%.*s\"", STR_ARG(b));
	if (!front.p || !back.p || !type.p)
		return sieve_full(vm);
	memmove(&list[1], &list[0], n * sizeof *list);
	list[0] = (struct sieve_piece){.text = front};
	list[n + 1] = (struct sieve_piece){.text = back};
	r = keep_outer(vm, names, n_names);
	r = r < 0 ? r : set_field(vm, STR("MIME-Version"), STR("1.0"));
	r = r < 0 ? r : set_field(vm, STR("Content-Type"), type);
	if (r == 0 && arg_has(a, S_SUBJECT))
		r = set_field(vm, STR("Subject"), subject);
	vm->state->body = list;
	vm->state->n_body = n + 2;
	sieve_trace(vm, "%s", T("enclose the message"));
	return r;
}

/* RFC 6558: texts become plain text in UTF-8. Other media are not converted here. */
static bool converts(const struct mime_part *p, struct str from, struct str to)
{
	AUTO(buf) struct buf type = BUF_INIT(1024);
	(void)buf_addf(&type, "%.*s/%.*s", STR_ARG(p->type), STR_ARG(p->subtype));
	return p->flags & MIME_PART_TEXT && str_eqi(buf_str(&type), from) &&
	       str_eqi(to, STR("text/plain")) &&
	       (str_eqi(p->subtype, STR("html")) || str_eqi(p->subtype, STR("plain")));
}

static int convert_part(struct sieve_vm *vm, uint32_t part)
{
	struct str text;
	int r = sieve_part_text(vm, part, true, &text);
	if (r < 0)
		return r;
	if (part)
		return replace_part(vm, part, false, text);
	r = drop_fields(vm, true, STR(""));
	r = r < 0 ? r : set_field(vm, STR("MIME-Version"), STR("1.0"));
	r = r < 0 ? r : set_field(vm, STR("Content-Type"), STR("text/plain; charset=utf-8"));
	r = r < 0 ? r : set_field(vm, STR("Content-Transfer-Encoding"), STR("8bit"));
	const struct mime_part *p = &vm->message->map->parts[0];
	return r < 0 ? r : replace_range(vm, p->body_off, p->body_off + p->body_len, text);
}

int sieve_test_convert(struct sieve_vm *vm, const struct sieve_args *a)
{
	struct str from, to;
	uint32_t part = 0, end = vm->message->map->n_parts;
	int r = arg_text(vm, a, S_P1, &from), done = 0;
	r = r < 0 ? r : arg_text(vm, a, S_P2, &to);
	if (sieve_current_part(vm, &part))
		end = part + 1;
	for (; r == 0 && part < end; part++) {
		if (!converts(&vm->message->map->parts[part], from, to))
			continue;
		r = convert_part(vm, part);
		done = 1;
	}
	return r < 0 ? r : done;
}

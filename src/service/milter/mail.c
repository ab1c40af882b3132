/* SPDX-License-Identifier: Apache-2.0 */
/* A message's fields, and changes to them. */
#include "service/milter/milter_int.h"

#define FIELDS_MAX 5000u
#define RCPTS_MAX  10000u

void milter_mail_clear(struct milter_mail *mail)
{
	vec_clear(&mail->fields);
	vec_clear(&mail->rcpts);
	arena_clear(&mail->arena);
}

/* --- reading and writing --- */

/* Without CR, and without the last line break. */
static struct str unix_lines(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, s.n + 1);
	size_t n = 0;
	if (!p)
		return STR_NULL;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != '\r' && s.p[i] != '\0')
			p[n++] = s.p[i];
	while (n && p[n - 1] == '\n')
		n--;
	return (struct str){p, n};
}

int milter_mail_add(struct milter_mail *mail, struct str text, struct str raw, bool ours,
		    bool hidden)
{
	size_t colon = str_find(text, 0, ':');
	if (mail->fields.n >= FIELDS_MAX)
		return -FAIL_LIMIT;
	if (colon == text.n)
		return -FAIL_SYNTAX;
	struct str value = unix_lines(&mail->arena, str_skip(text, colon + 1));
	if (!value.p)
		return -FAIL_LIMIT;
	*vec_push(&mail->fields) = (struct milter_field){.name = str_trim(str_sub(text, 0, colon)),
							 .value = value,
							 .raw = raw,
							 .ours = ours,
							 .theirs = !ours,
							 .hidden = hidden};
	return 0;
}

int milter_field_write(const struct milter_field *f, struct buf *out)
{
	struct str rest = f->value, line;
	if (f->raw.p)
		return buf_add(out, f->raw);
	(void)buf_add(out, f->name);
	(void)buf_addc(out, ':');
	for (bool first = true; rest.p && str_cut(&rest, '\n', &line); first = false) {
		/* A line that does not begin with a blank would be another field, or end the
		 * header. */
		bool blank = line.n && (line.p[0] == ' ' || line.p[0] == '\t');
		bool empty = str_trim(line).n == 0;
		if (!first && empty)
			continue;
		if (!first)
			(void)buf_add(out, blank ? STR("\r\n") : STR("\r\n\t"));
		(void)buf_add(out, line);
	}
	return buf_add(out, STR("\r\n"));
}

/* --- changes --- */

static bool name_ok(struct str name)
{
	for (size_t i = 0; i < name.n; i++)
		if ((unsigned char)name.p[i] <= ' ' || (unsigned char)name.p[i] > '~' ||
		    name.p[i] == ':')
			return false;
	return name.n > 0 && name.n < 200;
}

/* A field as the milter wrote it; {.name = NULL}: no memory. */
static struct milter_field new_field(struct milter_mail *mail, const struct milter_reply *r,
				     bool leading_space)
{
	struct str value = unix_lines(&mail->arena, r->value);
	struct milter_field f = {.name = arena_str(&mail->arena, r->name)};
	bool blank = value.n && (value.p[0] == ' ' || value.p[0] == '\t' || value.p[0] == '\n');
	f.value = leading_space || blank || !value.p
			  ? value
			  : arena_printf(&mail->arena, " %.*s", STR_ARG(value));
	if (!f.value.p)
		f.name = STR_NULL;
	return f;
}

static int insert_at(struct milter_mail *mail, size_t at, struct milter_field f)
{
	if (!f.name.p || mail->fields.n >= FIELDS_MAX)
		return -FAIL_LIMIT;
	(void)vec_push(&mail->fields);
	at = MIN(at, mail->fields.n - 1);
	memmove(&mail->fields.p[at + 1], &mail->fields.p[at],
		(mail->fields.n - 1 - at) * sizeof *mail->fields.p);
	mail->fields.p[at] = f;
	return 0;
}

/*
 * A field that is added stands behind those of our prefix and above the message's own: there it
 * costs nothing, whatever the size of the message, and what a sender forged stands below.
 */
static size_t place_of_added(const struct milter_mail *mail)
{
	size_t at = 0;
	while (at < mail->fields.n && !mail->fields.p[at].theirs)
		at++;
	return at;
}

/* The number'th field of this name, from 1; fields.n: there is none. */
static size_t find_field(const struct milter_mail *mail, struct str name, uint32_t number)
{
	uint32_t seen = 0;
	size_t i = 0;
	for (; i < mail->fields.n; i++) {
		const struct milter_field *f = &mail->fields.p[i];
		if (!f->hidden && str_eqi(f->name, name) && ++seen >= number)
			break;
	}
	return i;
}

static int change_field(struct milter_mail *mail, const struct milter_reply *r, bool leading_space)
{
	size_t at = find_field(mail, r->name, r->index);
	bool there = at < mail->fields.n;
	if (r->value.n == 0) { /* delete */
		if (there)
			vec_remove(&mail->fields, at);
		return 0;
	}
	struct milter_field f = new_field(mail, r, leading_space);
	if (!there)
		return insert_at(mail, place_of_added(mail), f);
	if (!f.name.p)
		return -FAIL_LIMIT;
	f.ours = mail->fields.p[at].ours;
	f.theirs = mail->fields.p[at].theirs;
	mail->fields.p[at] = f;
	return 0;
}

static int edit_rcpt(struct milter_mail *mail, const struct milter_reply *r, bool add)
{
	struct str address = arena_str(&mail->arena, r->name);
	struct str params = arena_str(&mail->arena, r->value);
	if (!address.p || mail->rcpts.n >= RCPTS_MAX || (r->value.n && !params.p))
		return -FAIL_LIMIT;
	*vec_push(&mail->rcpts) =
		(struct milter_rcpt_edit){.add = add, .address = address, .params = params};
	return 0;
}

static int change_from(struct milter_mail *mail, const struct milter_reply *r)
{
	mail->from_changed = true;
	mail->from = arena_str(&mail->arena, r->name);
	mail->from_params = arena_str(&mail->arena, r->value);
	return mail->from.p || r->name.n == 0 ? 0 : -FAIL_LIMIT;
}

int mail_change(struct milter_mail *mail, const struct milter_reply *r, bool leading_space)
{
	switch (r->says) {
	case MILTER_SAYS_ADDHEADER:
		return name_ok(r->name) ? insert_at(mail, place_of_added(mail),
						    new_field(mail, r, leading_space))
					: -FAIL_SYNTAX;
	case MILTER_SAYS_INSHEADER:
		return name_ok(r->name)
			       ? insert_at(mail, r->index, new_field(mail, r, leading_space))
			       : -FAIL_SYNTAX;
	case MILTER_SAYS_CHGHEADER:
		return name_ok(r->name) ? change_field(mail, r, leading_space) : -FAIL_SYNTAX;
	case MILTER_SAYS_ADDRCPT:
	case MILTER_SAYS_ADDRCPT_PAR:
		return edit_rcpt(mail, r, true);
	case MILTER_SAYS_DELRCPT:
		return edit_rcpt(mail, r, false);
	case MILTER_SAYS_CHGFROM:
		return change_from(mail, r);
	case MILTER_SAYS_QUARANTINE:
		mail->hold = true;
		mail->hold_reason = arena_str(&mail->arena, r->value);
		return 0;
	case MILTER_SAYS_REPLBODY:
	case MILTER_SAYS_SHUTDOWN:
	case MILTER_SAYS_ACCEPT:
	case MILTER_SAYS_CONTINUE:
	case MILTER_SAYS_DISCARD:
	case MILTER_SAYS_CONN_FAIL:
	case MILTER_SAYS_OPTNEG:
	case MILTER_SAYS_PROGRESS:
	case MILTER_SAYS_REJECT:
	case MILTER_SAYS_SKIP:
	case MILTER_SAYS_TEMPFAIL:
	case MILTER_SAYS_REPLYCODE:
		break;
	}
	return -FAIL_SYNTAX;
}

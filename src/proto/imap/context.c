/* SPDX-License-Identifier: Apache-2.0 */
/*
 * context.c - contexts begin, end, and travel with the session (context.h).     [proto, imap]
 */
#include "proto/imap/context.h"
#include "base/num.h"
#include "codec/imap/imap_write.h"

#define PROGRAM_MAX KIB(8)
#define TAG_BYTES   255

static size_t bytes_of(const struct context *c)
{
	return c->tag.n + c->program.n + c->list.n;
}

static size_t bytes_of_all(const struct imap_session *s)
{
	size_t n = 0;
	for (size_t i = 0; i < s->contexts.n; i++)
		n += bytes_of(&s->contexts.p[i]);
	return n;
}

static struct context *find(const struct imap_session *s, struct str tag)
{
	for (size_t i = 0; i < s->contexts.n; i++)
		if (str_eq(buf_str(&s->contexts.p[i].tag), tag))
			return &s->contexts.p[i];
	return NULL;
}

static void clear(struct context *c)
{
	buf_clear(&c->tag);
	buf_clear(&c->program);
	buf_clear(&c->list);
}

bool context_exists(const struct imap_session *s, struct str tag)
{
	return find(s, tag);
}

void contexts_clear(struct imap_session *s)
{
	for (size_t i = 0; i < s->contexts.n; i++)
		clear(&s->contexts.p[i]);
	vec_clear(&s->contexts);
}

static void write_no_update(struct imap_out *out, struct str tag, const char *text)
{
	buf_add(&out->text, STR("* NO [NOUPDATE "));
	(void)imap_write_string(&out->text, tag);
	buf_addf(&out->text, "] %s\r\n", text);
}

void context_end(struct imap_session *s, size_t at, struct imap_out *out, const char *text)
{
	write_no_update(out, buf_str(&s->contexts.p[at].tag), text);
	clear(&s->contexts.p[at]);
	vec_remove(&s->contexts, at);
}

void contexts_end_numbers(struct imap_session *s, struct imap_out *out)
{
	for (size_t i = s->contexts.n; i-- > 0;)
		if (!str_starts(buf_str(&s->contexts.p[i].program), STR("x UID ")))
			context_end(s, i, out, "Message numbers are not told any more.");
}

bool context_keep(struct imap_session *s, struct context *c, const uint32_t *uid, size_t n)
{
	buf_clear(&c->list);
	c->list = BUF_INIT(CONTEXTS_BYTES);
	context_list_put(&c->list, uid, n);
	return !c->list.failed && bytes_of_all(s) <= CONTEXTS_BYTES;
}

/* ---- beginning ------------------------------------------------------------------------------- */

/* Messages as a set of UIDs; of none a key that matches nothing. */
static int name_messages(struct imap_session *s, struct imap_search_key *key, struct fail *why)
{
	struct store_set set = {0};
	int r = 0;
	if (key->set.saved || key->set.n)
		r = set_resolve(s, &key->set, false, &set, why);
	if (r == -FAIL_SYNTAX) /* beyond the last message: it names none (RFC 7377 2) */
		r = 0;
	if (r < 0)
		return r;
	if (set.n == 0) {
		key->kid = arena_new(&s->run.arena, struct imap_search_key);
		if (!key->kid)
			return fail_set(why, FAIL_LIMIT, NULL, "arena full");
		key->op = IMAP_SEARCH_NOT;
		key->kid->op = IMAP_SEARCH_ALL;
		return 0;
	}
	struct seqrange *ranges = arena_array(&s->run.arena, struct seqrange, set.n);
	if (!ranges)
		return fail_set(why, FAIL_LIMIT, NULL, "arena full");
	for (size_t i = 0; i < set.n; i++)
		ranges[i] = (struct seqrange){set.runs[i].first.v, set.runs[i].last.v};
	key->op = IMAP_SEARCH_UID;
	key->set = (struct seqset){.r = ranges, .n = set.n};
	return 0;
}

/* Numbers of messages beyond the last one name nothing, so they are cut, as search does. */
static int name_numbers(struct imap_session *s, struct imap_search_key *key, struct fail *why)
{
	uint32_t exists = store_view_get_info(s->view)->exists;
	size_t kept = 0;
	if (!key->set.saved) {
		seqset_resolve(&key->set, exists);
		for (size_t i = 0; i < key->set.n && key->set.r[i].first <= exists; i++) {
			key->set.r[kept] = key->set.r[i];
			key->set.r[kept].last = MIN(key->set.r[kept].last, exists);
			kept++;
		}
		key->set.n = kept;
	}
	return name_messages(s, key, why);
}

static int name_all(struct imap_session *s, struct imap_search_key *key, struct fail *why)
{
	int r = 0;
	if (key->op == IMAP_SEARCH_SEQ || (key->op == IMAP_SEARCH_UID && key->set.saved))
		r = name_numbers(s, key, why);
	for (struct imap_search_key *kid = key->kid; r == 0 && kid; kid = kid->next)
		r = name_all(s, kid, why);
	return r;
}

int context_program(struct imap_session *s, struct buf *ret, struct fail *why)
{
	struct imap_cmd plain = s->run.cmd;
	int r = name_all(s, plain.search.key, why);
	if (r < 0)
		return r;
	plain.search.extended = false;
	plain.search.source_count = 0;
	*ret = BUF_INIT(PROGRAM_MAX);
	buf_add(ret, STR("x "));
	(void)imap_write_cmd(ret, &plain);
	return 0;
}

static bool sorts_by_relevancy(const struct imap_search *cmd)
{
	for (size_t i = 0; i < cmd->sort_count; i++)
		if (cmd->sort[i].by == IMAP_SORT_RELEVANCY)
			return true;
	return false;
}

void context_begin(struct imap_session *s, const struct search_hits *h, struct str program,
		   uint64_t modseq, struct imap_out *out)
{
	struct str tag = buf_str(&s->run.tag);
	/* Whatever comes would have to be weighed against all others again. */
	if (sorts_by_relevancy(&s->run.cmd.search)) {
		write_no_update(out, tag, "An order by relevancy cannot be followed.");
		return;
	}
	if (s->contexts.n >= CONTEXTS_MAX || tag.n > TAG_BYTES || program.n == 0) {
		write_no_update(out, tag, "Too many searches with updates.");
		return;
	}
	uint32_t *uid = xcalloc(h->list.n + 1, sizeof *uid);
	for (size_t i = 0; i < h->list.n; i++)
		uid[i] = h->list.p[i].uid.v;
	struct context *c = vec_push(&s->contexts);
	*c = (struct context){
		.tag = BUF_INIT(TAG_BYTES), .program = BUF_INIT(PROGRAM_MAX), .modseq = modseq};
	buf_add(&c->tag, tag);
	buf_add(&c->program, program);
	if (!context_keep(s, c, uid, h->list.n))
		context_end(s, s->contexts.n - 1, out, "The result is too large for updates.");
	free(uid);
}

int cmd_cancelupdate(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	const struct imap_cancelupdate *cmd = &s->run.cmd.cancelupdate;
	(void)out;
	for (size_t i = 0; i < cmd->tag_count; i++)
		if (!find(s, cmd->tag[i]))
			return fail_set(why, FAIL_SYNTAX, "No search with updates has this tag.",
					"tag=%.*s", STR_ARG(cmd->tag[i]));
	for (size_t i = 0; i < cmd->tag_count; i++) {
		struct context *c = find(s, cmd->tag[i]);
		if (!c) /* named twice */
			continue;
		clear(c);
		vec_remove(&s->contexts, (size_t)(c - s->contexts.p));
	}
	reply_ok(s, NULL, "No further updates.");
	return RUN_DONE;
}

/* ---- with the session ------------------------------------------------------------------------ */

void contexts_export(const struct imap_session *s, struct buf *out)
{
	for (size_t i = 0; i < s->contexts.n; i++) {
		const struct context *c = &s->contexts.p[i];
		const struct buf *parts[] = {&c->tag, &c->program, &c->list};
		buf_put_u64(out, c->modseq);
		for (size_t k = 0; k < ARRAY_LEN(parts); k++) {
			buf_put_u16(out, (uint16_t)parts[k]->n);
			buf_add(out, buf_str(parts[k]));
		}
	}
}

/* Is it a command that a context can have? */
static bool program_is_right(const struct imap_session *s, struct str program)
{
	AUTO(arena) struct arena arena = ARENA_INIT(MIB(1));
	struct imap_cmd cmd;
	struct imap_input in = {.text = program};
	if (imap_cmd_parse(&in, &s->config.limits, &arena, &cmd, NULL) < 0)
		return false;
	return (cmd.kind == IMAP_CMD_SEARCH || cmd.kind == IMAP_CMD_SORT) && !cmd.search.extended &&
	       !sorts_by_relevancy(&cmd.search);
}

static bool import_one(struct imap_session *s, struct cursor *c)
{
	struct context *n = vec_push(&s->contexts);
	uint32_t *uid = NULL;
	size_t n_uid = 0;
	*n = (struct context){.modseq = cursor_u64(c)};
	struct str tag = cursor_bytes(c, cursor_u16(c));
	struct str program = cursor_bytes(c, cursor_u16(c));
	struct str list = cursor_bytes(c, cursor_u16(c));
	n->tag = BUF_INIT(TAG_BYTES);
	n->program = BUF_INIT(PROGRAM_MAX);
	n->list = BUF_INIT(CONTEXTS_BYTES);
	buf_add(&n->tag, tag);
	buf_add(&n->program, program);
	buf_add(&n->list, list);
	bool good = !c->bad && tag.n && !n->tag.failed && !n->program.failed && !n->list.failed &&
		    program_is_right(s, program) && context_list_get(list, &uid, &n_uid);
	free(uid);
	return good;
}

bool contexts_import(struct imap_session *s, struct str bytes)
{
	struct cursor c = cursor_of(bytes);
	while (cursor_left(&c) > 0)
		if (s->contexts.n >= CONTEXTS_MAX || !import_one(s, &c))
			return false;
	return bytes_of_all(s) <= CONTEXTS_BYTES;
}

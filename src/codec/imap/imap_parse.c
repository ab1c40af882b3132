/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/imap/imap_parse.h"
#include "codec/imap/imap_quirks.h"

int imap_parse_grow(struct imap_lex *lex, void **array, size_t count, size_t size, size_t max,
		    const char *what)
{
	if (count >= max)
		return imap_lex_too_many(lex, what);
	if (count != 0 && (count < 4 || (count & (count - 1)) != 0))
		return 0;
	void *more = arena_alloc_array(lex->arena, count == 0 ? 4 : 2 * count, size);
	if (!more)
		return imap_lex_too_many(lex, what);
	if (count > 0)
		memcpy(more, *array, count * size);
	*array = more;
	return 0;
}

int imap_parse_items(struct imap_lex *lex, const char *what, bool may_be_empty,
		     int (*item)(struct imap_lex *lex, void *arg), void *arg)
{
	char expected[64];
	(void)snprintf(expected, sizeof expected, "a list of %s", what);
	int r = imap_lex_char(lex, '(', expected);
	if (r < 0)
		return r;
	while (imap_lex_try_char(lex, ' '))
		continue;
	if (may_be_empty && imap_lex_try_char(lex, ')'))
		return 0;
	for (bool more = true; more;) {
		r = item(lex, arg);
		if (r == 0)
			r = imap_lex_list_next(lex, &more);
		if (r < 0)
			return r;
	}
	return 0;
}

int imap_parse_set(struct imap_lex *lex, struct seqset *ret)
{
	struct str rest = str_skip(lex->in.text, lex->pos);
	struct str s = str_sub(rest, 0, seqset_span(rest));
	int r = seqset_parse(s, lex->lim->set_ranges, lex->arena, ret);
	if (r == -FAIL_LIMIT)
		return imap_lex_too_many(lex, "ranges in a set");
	if (r < 0)
		return imap_lex_expected(lex, "a set of numbers");
	lex->pos += s.n;
	return 0;
}

static int parse_nothing(struct imap_lex *lex, struct imap_cmd *cmd)
{
	(void)lex;
	(void)cmd;
	return 0;
}

static int parse_login(struct imap_lex *lex, struct imap_cmd *cmd)
{
	int r = imap_lex_sp(lex);
	if (r == 0)
		r = imap_lex_astring(lex, "a user name", &cmd->login.user);
	if (r == 0)
		r = imap_lex_sp(lex);
	return r < 0 ? r : imap_lex_astring(lex, "a password", &cmd->login.password);
}

static int parse_authenticate(struct imap_lex *lex, struct imap_cmd *cmd)
{
	struct imap_authenticate *a = &cmd->authenticate;
	int r = imap_lex_sp(lex);
	if (r == 0)
		r = imap_lex_atom(lex, "the name of a mechanism", &a->mechanism);
	if (r < 0 || !imap_lex_try_char(lex, ' ') || imap_lex_at_end(lex))
		return r;
	a->has_initial = true;
	return imap_lex_atom(lex, "a response in base64", &a->initial);
}

struct id_builder {
	struct imap_id_pair *pair;
	size_t n;
};

static int parse_id_pair(struct imap_lex *lex, void *arg)
{
	struct id_builder *b = arg;
	int r = IMAP_GROW(lex, &b->pair, b->n, lex->lim->id_pairs, "ID fields");
	if (r == 0)
		r = imap_lex_string(lex, "the name of an ID field", &b->pair[b->n].key);
	bool half = imap_lex_peek(lex) == ')' && imap_bends(IMAP_QUIRK_ID_HALF_PAIR);
	b->pair[b->n].value = STR_NULL;
	if (r == 0 && !half)
		r = imap_lex_sp(lex);
	if (r == 0 && !half)
		r = imap_lex_nstring(lex, "the value of an ID field", &b->pair[b->n].value);
	if (r == 0)
		b->n++;
	return r;
}

static int parse_id(struct imap_lex *lex, struct imap_cmd *cmd)
{
	struct id_builder b = {0};
	int r = imap_lex_sp(lex);
	if (r == 0 && !imap_lex_try_word(lex, "NIL"))
		r = imap_parse_items(lex, "ID fields", true, parse_id_pair, &b);
	cmd->id = (struct imap_id){.pair = b.pair, .pair_count = b.n};
	return r;
}

static int parse_enable(struct imap_lex *lex, struct imap_cmd *cmd)
{
	struct str *names = NULL;
	size_t n = 0;
	do {
		int r = imap_lex_sp(lex);
		if (r == 0)
			r = IMAP_GROW(lex, &names, n, lex->lim->keywords, "capabilities");
		if (r == 0)
			r = imap_lex_atom(lex, "a capability", &names[n]);
		if (r < 0)
			return r;
		n++;
	} while (imap_lex_more(lex));
	cmd->enable = (struct imap_enable){.capability = names, .capability_count = n};
	return 0;
}

static int parse_compress(struct imap_lex *lex, struct imap_cmd *cmd)
{
	int r = imap_lex_sp(lex);
	return r < 0 ? r : imap_lex_atom(lex, "the name of a compression", &cmd->compress);
}

static const struct command {
	const char *name;
	enum imap_cmd_kind kind;
	imap_parse_fn *parse;
	bool with_uid;
} commands[] = {
	{"CAPABILITY", IMAP_CMD_CAPABILITY, parse_nothing, false},
	{"NOOP", IMAP_CMD_NOOP, parse_nothing, false},
	{"LOGOUT", IMAP_CMD_LOGOUT, parse_nothing, false},
	{"ID", IMAP_CMD_ID, parse_id, false},
	{"STARTTLS", IMAP_CMD_STARTTLS, parse_nothing, false},
	{"LOGIN", IMAP_CMD_LOGIN, parse_login, false},
	{"AUTHENTICATE", IMAP_CMD_AUTHENTICATE, parse_authenticate, false},
	{"ENABLE", IMAP_CMD_ENABLE, parse_enable, false},
	{"SELECT", IMAP_CMD_SELECT, imap_parse_select, false},
	{"EXAMINE", IMAP_CMD_EXAMINE, imap_parse_select, false},
	{"CREATE", IMAP_CMD_CREATE, imap_parse_create, false},
	{"DELETE", IMAP_CMD_DELETE, imap_parse_mailbox_only, false},
	{"RENAME", IMAP_CMD_RENAME, imap_parse_rename, false},
	{"SUBSCRIBE", IMAP_CMD_SUBSCRIBE, imap_parse_mailbox_only, false},
	{"UNSUBSCRIBE", IMAP_CMD_UNSUBSCRIBE, imap_parse_mailbox_only, false},
	{"LIST", IMAP_CMD_LIST, imap_parse_list, false},
	{"LSUB", IMAP_CMD_LSUB, imap_parse_lsub, false},
	{"XLIST", IMAP_CMD_XLIST, imap_parse_lsub, false},
	{"STATUS", IMAP_CMD_STATUS, imap_parse_status, false},
	{"APPEND", IMAP_CMD_APPEND, imap_parse_append, false},
	{"NAMESPACE", IMAP_CMD_NAMESPACE, parse_nothing, false},
	{"IDLE", IMAP_CMD_IDLE, parse_nothing, false},
	{"GETQUOTA", IMAP_CMD_GETQUOTA, imap_parse_quota, false},
	{"GETQUOTAROOT", IMAP_CMD_GETQUOTAROOT, imap_parse_mailbox_only, false},
	{"SETQUOTA", IMAP_CMD_SETQUOTA, imap_parse_setquota, false},
	{"GENURLAUTH", IMAP_CMD_GENURLAUTH, imap_parse_genurlauth, false},
	{"RESETKEY", IMAP_CMD_RESETKEY, imap_parse_resetkey, false},
	{"URLFETCH", IMAP_CMD_URLFETCH, imap_parse_urlfetch, false},
	{"COMPRESS", IMAP_CMD_COMPRESS, parse_compress, false},
	{"UNAUTHENTICATE", IMAP_CMD_UNAUTHENTICATE, parse_nothing, false},
	{"GETACL", IMAP_CMD_GETACL, imap_parse_mailbox_only, false},
	{"SETACL", IMAP_CMD_SETACL, imap_parse_setacl, false},
	{"DELETEACL", IMAP_CMD_DELETEACL, imap_parse_acl, false},
	{"LISTRIGHTS", IMAP_CMD_LISTRIGHTS, imap_parse_acl, false},
	{"MYRIGHTS", IMAP_CMD_MYRIGHTS, imap_parse_mailbox_only, false},
	{"NOTIFY", IMAP_CMD_NOTIFY, imap_parse_notify, false},
	{"GETMETADATA", IMAP_CMD_GETMETADATA, imap_parse_getmetadata, false},
	{"SETMETADATA", IMAP_CMD_SETMETADATA, imap_parse_setmetadata, false},
	{"CHECK", IMAP_CMD_CHECK, parse_nothing, false},
	{"CLOSE", IMAP_CMD_CLOSE, parse_nothing, false},
	{"UNSELECT", IMAP_CMD_UNSELECT, parse_nothing, false},
	{"EXPUNGE", IMAP_CMD_EXPUNGE, imap_parse_expunge, true},
	{"SEARCH", IMAP_CMD_SEARCH, imap_parse_search, true},
	{"ESEARCH", IMAP_CMD_ESEARCH, imap_parse_esearch, true},
	{"SORT", IMAP_CMD_SORT, imap_parse_sort, true},
	{"THREAD", IMAP_CMD_THREAD, imap_parse_thread, true},
	{"CANCELUPDATE", IMAP_CMD_CANCELUPDATE, imap_parse_cancelupdate, false},
	{"UIDBATCHES", IMAP_CMD_UIDBATCHES, imap_parse_uidbatches, false},
	{"COMPARATOR", IMAP_CMD_COMPARATOR, imap_parse_comparator, false},
	{"FETCH", IMAP_CMD_FETCH, imap_parse_fetch, true},
	{"STORE", IMAP_CMD_STORE, imap_parse_store, true},
	{"COPY", IMAP_CMD_COPY, imap_parse_copy, true},
	{"MOVE", IMAP_CMD_MOVE, imap_parse_copy, true},
	{"REPLACE", IMAP_CMD_REPLACE, imap_parse_replace, true},
};
_Static_assert(ARRAY_LEN(commands) == IMAP_CMD_KIND_COUNT, "one row for each kind");

static const struct command *find_command(struct str name, bool uid)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (str_eqi(name, str_c(commands[i].name)) && (!uid || commands[i].with_uid))
			return &commands[i];
	return NULL;
}

const char *imap_cmd_name(enum imap_cmd_kind kind)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (commands[i].kind == kind)
			return commands[i].name;
	return "?";
}

/* tag SP name, or tag SP "UID" SP name */
static int parse_head(struct imap_lex *lex, struct imap_cmd *cmd, struct str *ret_name)
{
	struct str tag = STR_NULL;
	int r = imap_lex_tag(lex, &tag);
	if (r == 0 && !imap_lex_at_end(lex) && imap_lex_peek(lex) != ' ')
		return imap_lex_expected(lex, "a space after the tag");
	cmd->tag = tag;
	if (r == 0)
		r = imap_lex_sp(lex);
	if (r == 0)
		r = imap_lex_atom(lex, "the name of a command", ret_name);
	if (r < 0 || !str_eqi(*ret_name, STR("UID")))
		return r;
	cmd->uid = true;
	r = imap_lex_sp(lex);
	return r < 0 ? r : imap_lex_atom(lex, "the name of a command after UID", ret_name);
}

int imap_cmd_parse(const struct imap_input *in, const struct imap_limits *lim, struct arena *arena,
		   struct imap_cmd *ret_cmd, struct fail *why)
{
	struct imap_lex lex = {
		.in = *in, .arena = arena, .lim = lim ? lim : &imap_limits_default, .why = why};
	struct imap_cmd cmd = {.kind = IMAP_CMD_KIND_COUNT};
	struct str name;
	*ret_cmd = cmd;
	int r = parse_head(&lex, &cmd, &name);
	ret_cmd->tag = cmd.tag;
	if (r < 0)
		return r;
	const struct command *c = find_command(name, cmd.uid);
	if (!c)
		return fail_set(why, FAIL_UNSUPPORTED, "unknown command", "%zu bytes", name.n);
	cmd.kind = c->kind;
	r = c->parse(&lex, &cmd);
	if (r == 0)
		r = imap_lex_end(&lex);
	if (r == 0 && lex.next_external != in->external_count)
		r = imap_lex_expected(&lex, "no literal");
	if (r == 0)
		*ret_cmd = cmd;
	return r;
}

enum imap_cmd_kind imap_cmd_peek(struct str text)
{
	struct imap_lex lex = {.in = {.text = text}, .lim = &imap_limits_default};
	struct imap_cmd cmd = {0};
	struct str name;
	if (parse_head(&lex, &cmd, &name) < 0)
		return IMAP_CMD_KIND_COUNT;
	const struct command *c = find_command(name, cmd.uid);
	return c ? c->kind : IMAP_CMD_KIND_COUNT;
}

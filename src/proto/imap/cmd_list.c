/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_list.c - LIST and LSUB (RFC 3501 6.3.8, 6.3.9, RFC 9051 6.3.9) with CHILDREN
 * (RFC 3348), SPECIAL-USE (RFC 6154), and the selection and return options of RFC 5258 and RFC
 * 5819. [proto, imap]
 *
 * The account's whole list, counters included, is read once and walked. Parents of a mailbox always
 * exist in the store (perhaps \Noselect), so only subscriptions, which are mere names, can have
 * missing levels. There are no remote mailboxes: REMOTE changes nothing.
 */
#include "base/map.h"
#include "codec/imap/imap_list.h"
#include "codec/imap/imap_write.h"
#include "proto/imap/guest_int.h"

struct lister {
	struct imap_session *s;
	struct imap_out *out;
	struct store_mailboxes boxes;
	const struct str *patterns; /* canonical */
	size_t n_patterns;
	bool is_lsub;
	bool is_xlist;
	uint32_t selection; /* enum imap_list_option */
	uint32_t returned;
	struct store_acl acl;	   /* of all mailboxes, with MYRIGHTS */
	struct strmap others;	   /* rights to mailboxes of others, plus one */
	struct strmap parents;	   /* with RECURSIVEMATCH: struct parent by name */
	struct parent *first_gone; /* those that are in no list */
};

/* A level above a mailbox that meets the selection. */
struct parent {
	struct str name;
	bool needed; /* one such mailbox does not match the patterns, so is not listed itself */
	struct parent *next_gone;
};

static bool matches(const struct lister *l, struct str name)
{
	for (size_t i = 0; i < l->n_patterns; i++)
		if (imap_list_match(l->patterns[i], name))
			return true;
	return false;
}

static void add_attribute(struct buf *b, const char *name)
{
	if (b->p[b->n - 1] != '(')
		buf_addc(b, ' ');
	buf_add_c(b, name);
}

/* What Google's servers say where RFC 6154 has another name, or none. */
static void write_xlist_uses(struct buf *b, const struct store_mailbox *box)
{
	static const struct {
		unsigned use;
		const char *name;
	} names[] = {{STORE_USE_ALL, "\\AllMail"},   {STORE_USE_ARCHIVE, "\\Archive"},
		     {STORE_USE_DRAFTS, "\\Drafts"}, {STORE_USE_FLAGGED, "\\Starred"},
		     {STORE_USE_JUNK, "\\Spam"},     {STORE_USE_SENT, "\\Sent"},
		     {STORE_USE_TRASH, "\\Trash"}};
	if (str_eq(box->name, STR("INBOX")))
		add_attribute(b, "\\Inbox");
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (box->use & names[i].use)
			add_attribute(b, names[i].name);
}

static void write_uses(struct buf *b, unsigned store_use)
{
	uint32_t use = use_to_imap(store_use);
	for (const struct imap_name *u = imap_special_use_names; u->name; u++)
		if (use & u->bit)
			add_attribute(b, u->name);
}

static void write_attributes(const struct lister *l, const struct store_mailbox *box)
{
	struct buf *b = &l->out->text;
	buf_add(b, l->is_lsub ? STR("* LSUB (") : l->is_xlist ? STR("* XLIST (") : STR("* LIST ("));
	if (box->missing)
		add_attribute(b, l->is_lsub ? "\\Noselect" : "\\NonExistent");
	else if (box->noselect)
		add_attribute(b, "\\Noselect");
	if (!box->missing || !l->is_lsub)
		add_attribute(b, box->has_children ? "\\HasChildren" : "\\HasNoChildren");
	if (box->subscribed && ((l->selection | l->returned) & IMAP_LIST_SUBSCRIBED))
		add_attribute(b, "\\Subscribed");
	if (l->is_xlist)
		write_xlist_uses(b, box);
	else
		write_uses(b, box->use);
}

/* RFC 5258 3.5: what it is that something below meets. */
static void write_child_info(const struct lister *l)
{
	struct buf *b = &l->out->text;
	bool both = (l->selection & IMAP_LIST_SUBSCRIBED) && (l->selection & IMAP_LIST_SPECIAL_USE);
	buf_add(b, STR(" (\"CHILDINFO\" ("));
	if (l->selection & IMAP_LIST_SUBSCRIBED)
		buf_add(b, STR("\"SUBSCRIBED\""));
	if (both)
		buf_addc(b, ' ');
	if (l->selection & IMAP_LIST_SPECIAL_USE)
		buf_add(b, STR("\"SPECIAL-USE\""));
	buf_add(b, STR("))"));
}

static uint32_t rights_to(const struct lister *l, const struct store_mailbox *box)
{
	uintptr_t other = (uintptr_t)strmap_get(&l->others, box->name);
	return other ? (uint32_t)other - 1 : acl_rights_in(l->s, &l->acl, box->id);
}

static bool may_read(const struct lister *l, const struct store_mailbox *box)
{
	uintptr_t other = (uintptr_t)strmap_get(&l->others, box->name);
	return !other || ((other - 1) & IMAP_ACL_R);
}

static void write_mailbox(const struct lister *l, const struct store_mailbox *box, bool child_info)
{
	struct buf *b = &l->out->text;
	write_attributes(l, box);
	buf_add(b, STR(") \"/\" "));
	write_name(l->s, b, box->name);
	if (child_info)
		write_child_info(l);
	buf_add(b, STR("\r\n"));
	if ((l->returned & IMAP_LIST_MYRIGHTS) && !box->missing && box->id.v)
		write_myrights(l->s, l->out, box->name, rights_to(l, box));
	if ((l->returned & IMAP_LIST_STATUS) && !box->missing && !box->noselect && may_read(l, box))
		write_status(l->s, l->out, box->name, l->s->run.cmd.list.status_items, box);
	if ((l->returned & IMAP_LIST_METADATA) && !box->missing)
		write_list_metadata(l->s, l->out, box->name);
}

/* ---- LIST ---------------------------------------------------------------------------------- */

static bool meets(const struct lister *l, const struct store_mailbox *box)
{
	if (box->missing && !(l->selection & IMAP_LIST_SUBSCRIBED))
		return false;
	if ((l->selection & IMAP_LIST_SUBSCRIBED) && !box->subscribed)
		return false;
	return !(l->selection & IMAP_LIST_SPECIAL_USE) || box->use;
}

static int note_parent(struct lister *l, struct str name, bool needed, struct fail *why)
{
	struct parent *parent = strmap_get(&l->parents, name);
	if (!parent) {
		parent = arena_new(&l->s->run.arena, struct parent);
		if (!parent)
			return fail_set(why, FAIL_LIMIT, "Too many mailboxes.", "arena full");
		*parent = (struct parent){.name = name, .next_gone = l->first_gone};
		l->first_gone = parent; /* until the walk finds it */
		strmap_put(&l->parents, name, parent);
	}
	parent->needed |= needed;
	return 0;
}

/* RECURSIVEMATCH, first walk: all levels above what meets the selection. */
static int note_parents(struct lister *l, struct fail *why)
{
	for (size_t i = 0; i < l->boxes.n; i++) {
		const struct store_mailbox *box = &l->boxes.p[i];
		if (!meets(l, box))
			continue;
		bool needed = !matches(l, box->name);
		for (size_t end = str_find(box->name, 0, IMAP_SEPARATOR); end < box->name.n;
		     end = str_find(box->name, end + 1, IMAP_SEPARATOR)) {
			int r = note_parent(l, str_sub(box->name, 0, end), needed, why);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

/*
 * RFC 5258 3.5, RFC 9051 table 3: a name that meets the selection is listed, and one that only
 * something below it does when that is not listed itself.
 */
static void list_box(const struct lister *l, const struct store_mailbox *box)
{
	const struct parent *parent = strmap_get(&l->parents, box->name);
	if ((meets(l, box) || (parent && parent->needed)) && matches(l, box->name))
		write_mailbox(l, box, parent != NULL);
}

static void list_gone_parents(const struct lister *l)
{
	for (const struct parent *p = l->first_gone; p; p = p->next_gone) {
		struct store_mailbox box = {.name = p->name, .missing = true};
		list_box(l, &box);
	}
}

/* Unlinks those that stand in the list, which are sorted out by name. */
static void keep_gone(struct lister *l)
{
	struct strmap listed = {0};
	struct parent **link = &l->first_gone;
	for (size_t i = 0; i < l->boxes.n; i++)
		strmap_put(&listed, l->boxes.p[i].name, &l->boxes.p[i]);
	while (*link) {
		if (strmap_get(&listed, (*link)->name))
			*link = (*link)->next_gone;
		else
			link = &(*link)->next_gone;
	}
	strmap_clear(&listed);
}

static int list_all(struct lister *l, struct fail *why)
{
	if (l->selection & IMAP_LIST_RECURSIVEMATCH) {
		int r = note_parents(l, why);
		if (r < 0)
			return r;
		keep_gone(l);
	}
	for (size_t i = 0; i < l->boxes.n; i++)
		list_box(l, &l->boxes.p[i]);
	list_gone_parents(l);
	return RUN_DONE;
}

/* ---- LSUB ---------------------------------------------------------------------------------- */

/*
 * LSUB: a pattern that ends in % shows the level above a deeper subscription as \Noselect
 * (6.3.9), unless that level is subscribed itself.
 */
static void lsub_parents(const struct lister *l, struct str name, struct strmap *told)
{
	for (size_t end = str_find(name, 0, IMAP_SEPARATOR); end < name.n;
	     end = str_find(name, end + 1, IMAP_SEPARATOR)) {
		struct store_mailbox parent = {.name = str_sub(name, 0, end), .missing = true};
		if (!matches(l, parent.name) || strmap_get(told, parent.name))
			continue;
		strmap_put(told, parent.name, &l->out->text);
		write_mailbox(l, &parent, false);
	}
}

static void lsub_all(const struct lister *l)
{
	struct strmap told = {0};
	for (size_t i = 0; i < l->boxes.n; i++)
		if (l->boxes.p[i].subscribed)
			strmap_put(&told, l->boxes.p[i].name, &l->boxes.p[i]);
	for (size_t i = 0; i < l->boxes.n; i++) {
		const struct store_mailbox *box = &l->boxes.p[i];
		if (!box->subscribed)
			continue;
		if (matches(l, box->name))
			write_mailbox(l, box, false);
		else
			lsub_parents(l, box->name, &told);
	}
	strmap_clear(&told);
}

/* reference + pattern, for each pattern, in the command's arena. In the extended syntax an empty
 * pattern is ignored (RFC 5258 section 3). */
static int canonical_patterns(struct lister *l, const struct imap_list *list, struct fail *why)
{
	struct arena *arena = &l->s->run.arena;
	struct str *patterns = arena_array(arena, struct str, list->pattern_count);
	AUTO(buf) struct buf b = BUF_INIT(KIB(64));
	size_t n = 0;
	for (size_t i = 0; patterns && i < list->pattern_count; i++) {
		if (!list->pattern[i].p || (list->extended && list->pattern[i].n == 0))
			continue;
		buf_reset(&b);
		if (imap_list_pattern(&b, list->reference, list->pattern[i]) < 0)
			return fail_set(why, FAIL_LIMIT, "Too long a pattern.", "pattern");
		patterns[n] = arena_str(arena, buf_str(&b));
		if (!patterns[n++].p && b.n)
			patterns = NULL;
	}
	if (!patterns)
		return fail_set(why, FAIL_LIMIT, "Too many patterns.", "arena full");
	l->patterns = patterns;
	l->n_patterns = n;
	return 0;
}

static void write_rest_of_list(struct imap_session *s, struct buf *b, struct str name,
			       struct str old_name)
{
	buf_add(b, STR(") \"/\" "));
	write_name(s, b, name);
	if (old_name.p) {
		buf_add(b, STR(" (\"OLDNAME\" ("));
		write_name(s, b, old_name);
		buf_add(b, STR("))"));
	}
	buf_add(b, STR("\r\n"));
}

void write_list_entry(struct imap_session *s, struct imap_out *out, const struct store_mailbox *box,
		      struct str old_name)
{
	struct lister l = {.s = s, .out = out, .returned = IMAP_LIST_SUBSCRIBED};
	write_attributes(&l, box);
	write_rest_of_list(s, &out->text, box->name, old_name);
}

void write_list_of(struct imap_session *s, struct imap_out *out, const struct store_mailbox *box,
		   struct str old_name)
{
	struct buf *b = &out->text;
	buf_add(b, STR("* LIST ("));
	if (box->noselect)
		add_attribute(b, "\\Noselect");
	write_uses(b, box->use);
	write_rest_of_list(s, b, box->name, old_name);
}

static int lister_init(struct lister *l, struct imap_session *s, struct imap_out *out,
		       struct fail *why)
{
	const struct imap_list *list = &s->run.cmd.list;
	*l = (struct lister){.s = s,
			     .out = out,
			     .is_lsub = s->run.cmd.kind == IMAP_CMD_LSUB,
			     .is_xlist = s->run.cmd.kind == IMAP_CMD_XLIST,
			     .selection = list->selection,
			     .returned = list->returned};
	int r = canonical_patterns(l, list, why);
	if (r < 0)
		return r;
	r = store_mailbox_list(s->store, s->account, &s->run.arena, &l->boxes, why);
	if (r == 0 && (l->returned & IMAP_LIST_MYRIGHTS))
		r = store_acl_get(s->store, s->account, STR(""), &s->run.arena, &l->acl, why);
	if (r == 0)
		r = guest_list_join(s, l->patterns, l->n_patterns, &l->boxes, &l->others, why);
	return r;
}

int cmd_list(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	const struct imap_list *list = &s->run.cmd.list;
	if (list->pattern_count == 1 && list->pattern[0].p && list->pattern[0].n == 0 &&
	    !list->extended) {
		buf_add(&out->text, STR("* LIST (\\Noselect) \"/\" \"\"\r\n"));
		return RUN_DONE;
	}
	if ((list->returned & IMAP_LIST_STATUS) && (list->status_items & IMAP_STATUS_HIGHESTMODSEQ))
		condstore_enable(s, out);
	struct lister l;
	int r = lister_init(&l, s, out, why);
	if (r < 0)
		return r;
	r = list_all(&l, why);
	strmap_clear(&l.parents);
	strmap_clear(&l.others);
	return r;
}

int cmd_lsub(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	struct lister l;
	int r = lister_init(&l, s, out, why);
	if (r < 0)
		return r;
	lsub_all(&l);
	strmap_clear(&l.others);
	return RUN_DONE;
}

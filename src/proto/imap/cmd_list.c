/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_list.c - LIST and LSUB (RFC 3501 6.3.8, 6.3.9) with CHILDREN (3348), SPECIAL-USE (6154), and
 * the selection and return options of RFC 5258 and 5819.                        [proto, imap]
 *
 * The account's whole list is read once and walked. Parents of a mailbox always exist in the store
 * (perhaps \Noselect), so only subscriptions, which are mere names, can have missing levels.
 */
#include "base/map.h"
#include "codec/imap/imap_list.h"
#include "codec/imap/imap_write.h"
#include "proto/imap/imap_int.h"

struct lister {
	struct imap_session *s;
	struct imap_out *out;
	struct store_mailboxes boxes;
	const struct str *patterns; /* canonical */
	size_t n_patterns;
	const char *response; /* "LIST" or "LSUB" */
	uint32_t selection;   /* enum imap_list_option */
	uint32_t returned;
};

static bool matches(const struct lister *l, struct str name)
{
	for (size_t i = 0; i < l->n_patterns; i++)
		if (imap_list_match(l->patterns[i], name))
			return true;
	return false;
}

static bool is_below(struct str name, struct str parent)
{
	return name.n > parent.n && name.p[parent.n] == IMAP_SEPARATOR && str_starts(name, parent);
}

static void add_attribute(struct buf *b, const char *name)
{
	if (b->p[b->n - 1] != '(')
		buf_addc(b, ' ');
	buf_add_c(b, name);
}

static void write_attributes(const struct lister *l, const struct store_mailbox *box)
{
	struct buf *b = &l->out->text;
	buf_addf(b, "* %s (", l->response);
	if (box->missing)
		add_attribute(b, l->selection ? "\\NonExistent" : "\\Noselect");
	else if (box->noselect)
		add_attribute(b, "\\Noselect");
	if (!box->missing)
		add_attribute(b, box->has_children ? "\\HasChildren" : "\\HasNoChildren");
	if (box->subscribed && ((l->selection | l->returned) & IMAP_LIST_SUBSCRIBED))
		add_attribute(b, "\\Subscribed");
	uint32_t use = use_to_imap(box->use);
	for (const struct imap_name *u = imap_special_use_names; u->name; u++)
		if (use & u->bit)
			add_attribute(b, u->name);
}

/* `child_info`: RFC 5258 3.5, something below is subscribed. */
static void write_mailbox(const struct lister *l, const struct store_mailbox *box, bool child_info)
{
	struct buf *b = &l->out->text;
	write_attributes(l, box);
	buf_add(b, STR(") \"/\" "));
	write_name(l->s, b, box->name);
	if (child_info)
		buf_add(b, STR(" (\"CHILDINFO\" (\"SUBSCRIBED\"))"));
	buf_add(b, STR("\r\n"));
	if ((l->returned & IMAP_LIST_STATUS) && !box->missing && !box->noselect)
		write_status(l->s, l->out, box->name, l->s->run.cmd.list.status_items,
			     &box->counters);
}

/* Is a subscribed mailbox below number `at`? The list is sorted, so names with this beginning stand
 * together; only INBOX, the first, may stand away from its inferiors. */
static bool has_subscribed_below(const struct lister *l, size_t at)
{
	struct str parent = l->boxes.p[at].name;
	for (size_t i = at + 1; i < l->boxes.n; i++) {
		struct str name = l->boxes.p[i].name;
		if (at > 0 && !str_starts(name, parent))
			return false;
		if (l->boxes.p[i].subscribed && is_below(name, parent))
			return true;
	}
	return false;
}

static void list_all(const struct lister *l)
{
	for (size_t i = 0; i < l->boxes.n; i++) {
		const struct store_mailbox *box = &l->boxes.p[i];
		bool subscribed_only = l->selection & IMAP_LIST_SUBSCRIBED;
		bool child_info = false;
		if (box->missing && !subscribed_only)
			continue;
		if ((l->selection & IMAP_LIST_SPECIAL_USE) && !box->use)
			continue;
		if (!matches(l, box->name))
			continue;
		if (l->selection & IMAP_LIST_RECURSIVEMATCH)
			child_info = has_subscribed_below(l, i);
		if (subscribed_only && !box->subscribed && !child_info)
			continue;
		write_mailbox(l, box, child_info);
	}
}

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

/* reference + pattern, for each pattern, in the command's arena. */
static int canonical_patterns(struct lister *l, const struct imap_list *list, struct fail *why)
{
	struct arena *arena = &l->s->run.arena;
	struct str *patterns = arena_array(arena, struct str, list->pattern_count);
	AUTO(buf) struct buf b = BUF_INIT(KIB(64));
	for (size_t i = 0; patterns && i < list->pattern_count; i++) {
		buf_reset(&b);
		if (imap_list_pattern(&b, list->reference, list->pattern[i]) < 0)
			return fail_set(why, FAIL_LIMIT, "Too long a pattern.", "pattern");
		patterns[i] = arena_str(arena, buf_str(&b));
		if (!patterns[i].p && b.n)
			patterns = NULL;
	}
	if (!patterns)
		return fail_set(why, FAIL_LIMIT, "Too many patterns.", "arena full");
	l->patterns = patterns;
	l->n_patterns = list->pattern_count;
	return 0;
}

static int lister_init(struct lister *l, struct imap_session *s, struct imap_out *out,
		       struct fail *why)
{
	const struct imap_list *list = &s->run.cmd.list;
	*l = (struct lister){.s = s,
			     .out = out,
			     .response = s->run.cmd.kind == IMAP_CMD_LSUB ? "LSUB" : "LIST",
			     .selection = list->selection,
			     .returned = list->returned};
	int r = canonical_patterns(l, list, why);
	if (r < 0)
		return r;
	return store_mailbox_list(s->store, s->account, &s->run.arena, &l->boxes, why);
}

int cmd_list(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	const struct imap_list *list = &s->run.cmd.list;
	if (list->pattern_count == 1 && list->pattern[0].n == 0 && !list->extended) {
		buf_add(&out->text, STR("* LIST (\\Noselect) \"/\" \"\"\r\n"));
		return RUN_DONE;
	}
	if ((list->returned & IMAP_LIST_STATUS) && (list->status_items & IMAP_STATUS_HIGHESTMODSEQ))
		condstore_enable(s, out);
	struct lister l;
	int r = lister_init(&l, s, out, why);
	if (r < 0)
		return r;
	list_all(&l);
	return RUN_DONE;
}

int cmd_lsub(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	struct lister l;
	int r = lister_init(&l, s, out, why);
	if (r < 0)
		return r;
	lsub_all(&l);
	return RUN_DONE;
}

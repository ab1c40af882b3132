/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify_names.c - MailboxName and SubscriptionChange (RFC 5465 5.4, 5.5): what differs between the
 * list of mailboxes that was told last and the one of now.                      [proto, imap]
 *
 * The list that was told is kept as bytes: for each name u64 id (0: there is no such mailbox), u8
 * what it was, u16 length, and the name.
 */
#include "base/map.h"
#include "base/num.h"
#include "codec/imap/imap_list.h"
#include "proto/imap/notify.h"

enum what { WAS_SUBSCRIBED = 1, WAS_NOSELECT = 2, WAS_PARENT = 4 };

struct old_name {
	uint64_t id;
	unsigned what;
	struct str name;
	bool seen; /* a mailbox of now has its id */
};

struct comparison {
	struct imap_session *s;
	struct imap_out *out;
	const struct store_mailboxes *boxes;
	VEC(struct old_name) old;
	struct map by_id;      /* old */
	struct strmap by_name; /* old */
	struct strmap now;     /* boxes */
	struct strmap told;    /* names whose LIST is written */
};

static void comparison_clear(struct comparison *c)
{
	vec_clear(&c->old);
	map_clear(&c->by_id);
	strmap_clear(&c->by_name);
	strmap_clear(&c->now);
	strmap_clear(&c->told);
}
DEFINE_AUTO(comparison, struct comparison, comparison_clear);

static unsigned what_of(const struct store_mailbox *box)
{
	return (box->subscribed ? (unsigned)WAS_SUBSCRIBED : 0) |
	       (box->noselect ? (unsigned)WAS_NOSELECT : 0) |
	       (box->has_children ? (unsigned)WAS_PARENT : 0);
}

int notify_names_take(const struct store_mailboxes *boxes, struct buf *ret, struct fail *why)
{
	buf_reset(ret);
	for (size_t i = 0; i < boxes->n; i++) {
		const struct store_mailbox *box = &boxes->p[i];
		buf_put_u64(ret, box->id.v);
		buf_put_u8(ret, (uint8_t)what_of(box));
		buf_put_u16(ret, (uint16_t)box->name.n);
		buf_add(ret, box->name);
	}
	return ret->failed ? fail_set(why, FAIL_LIMIT, "There are too many mailboxes.", "%zu names",
				      boxes->n)
			   : 0;
}

bool notify_names_valid(struct str names)
{
	struct cursor in = cursor_of(names);
	while (!in.bad && cursor_left(&in)) {
		(void)cursor_u64(&in);
		(void)cursor_u8(&in);
		struct str name = cursor_bytes(&in, cursor_u16(&in));
		if (name.n == 0 || name.n > STORE_NAME_MAX)
			return false;
	}
	return !in.bad;
}

static void read_old(struct comparison *c, struct str names)
{
	struct cursor in = cursor_of(names);
	while (cursor_left(&in)) {
		struct old_name o = {.id = cursor_u64(&in), .what = cursor_u8(&in)};
		o.name = cursor_bytes(&in, cursor_u16(&in));
		*vec_push(&c->old) = o;
	}
	for (size_t i = 0; i < c->old.n; i++) {
		if (c->old.p[i].id)
			map_put(&c->by_id, c->old.p[i].id, &c->old.p[i]);
		strmap_put(&c->by_name, c->old.p[i].name, &c->old.p[i]);
	}
	for (size_t i = 0; i < c->boxes->n; i++)
		strmap_put(&c->now, c->boxes->p[i].name, &c->boxes->p[i]);
}

/* ---- telling ------------------------------------------------------------------------------- */

static bool is_above(struct str name, struct str below)
{
	return below.n > name.n && str_starts(below, name) && below.p[name.n] == IMAP_SEPARATOR;
}

static bool is_own_name(struct str name, struct str mine)
{
	if (str_ends(mine, STR("/")))
		mine = str_sub(mine, 0, mine.n - 1);
	return str_eq(name, mine) || is_above(name, mine);
}

/* Did this session's own command, which is being finished, do it? */
static bool is_own(const struct imap_session *s, struct str name)
{
	const struct imap_cmd *cmd = &s->run.cmd;
	if (!s->run.row)
		return false;
	switch ((int)cmd->kind) {
	case IMAP_CMD_CREATE:
		return is_own_name(name, cmd->create.mailbox);
	case IMAP_CMD_DELETE:
	case IMAP_CMD_SUBSCRIBE:
	case IMAP_CMD_UNSUBSCRIBE:
		return is_own_name(name, cmd->mailbox);
	case IMAP_CMD_RENAME:
		return is_own_name(name, cmd->rename.from) || is_own_name(name, cmd->rename.to);
	default:
		return false;
	}
}

/* The name as it is now, which may be not at all. */
static void tell(struct comparison *c, struct str name, uint32_t event, struct str old_name)
{
	static const struct store_mailbox none;
	const struct store_mailbox *now = strmap_get(&c->now, name);
	struct store_mailbox box = now ? *now : none;
	if (!now) {
		const struct old_name *old = strmap_get(&c->by_name, name);
		box = (struct store_mailbox){
			.name = name,
			.missing = true,
			.subscribed = old && (old->what & WAS_SUBSCRIBED),
		};
	}
	bool wanted = notify_of_mailbox(c->s->notify, &box, event);
	if (!now)
		box.subscribed = false;
	if (!wanted || is_own(c->s, name) || strmap_get(&c->told, name))
		return;
	strmap_put(&c->told, name, c);
	write_list_entry(c->s, c->out, &box, old_name);
}

/* RFC 5465 5.4: a name that comes or goes changes what the name above it is. */
static void tell_parent(struct comparison *c, struct str name)
{
	size_t end = name.n;
	while (end > 0 && name.p[end - 1] != IMAP_SEPARATOR)
		end--;
	struct str parent = str_sub(name, 0, end ? end - 1 : 0);
	const struct store_mailbox *now = strmap_get(&c->now, parent);
	const struct old_name *old = strmap_get(&c->by_name, parent);
	if (now && old && what_of(now) != old->what)
		tell(c, parent, IMAP_EVENT_MAILBOX_NAME, STR_NULL);
}

static struct str last_level(struct str name)
{
	size_t at = name.n;
	while (at > 0 && name.p[at - 1] != IMAP_SEPARATOR)
		at--;
	return str_skip(name, at);
}

static struct str upper_levels(struct str name)
{
	size_t n = last_level(name).n;
	return str_sub(name, 0, name.n > n ? name.n - n - 1 : 0);
}

/* Only its parent was renamed: that one's event says it (5.4). */
static bool moved_along(struct comparison *c, struct str from, struct str to)
{
	struct str above_from = upper_levels(from), above_to = upper_levels(to);
	const struct store_mailbox *above = strmap_get(&c->now, above_to);
	if (!above_to.n || !above_from.n || !above || !str_eq(last_level(from), last_level(to)))
		return false;
	const struct old_name *was = map_get(&c->by_id, above->id.v);
	return was && str_eq(was->name, above_from) && !str_eq(above_from, above_to);
}

static void compare_mailbox(struct comparison *c, const struct store_mailbox *box)
{
	struct old_name *old = box->id.v ? map_get(&c->by_id, box->id.v) : NULL;
	if (box->missing)
		return;
	if (!old) {
		tell(c, box->name, IMAP_EVENT_MAILBOX_NAME, STR_NULL);
		tell_parent(c, box->name);
		return;
	}
	old->seen = true;
	if (str_eq(old->name, box->name) || moved_along(c, old->name, box->name))
		return;
	tell(c, box->name, IMAP_EVENT_MAILBOX_NAME, old->name);
	tell_parent(c, box->name);
	tell_parent(c, old->name);
}

static void compare_subscription(struct comparison *c, const struct store_mailbox *box)
{
	const struct old_name *old = strmap_get(&c->by_name, box->name);
	bool was = old && (old->what & WAS_SUBSCRIBED);
	if (was != box->subscribed)
		tell(c, box->name, IMAP_EVENT_SUBSCRIPTION_CHANGE, STR_NULL);
}

static void compare(struct comparison *c)
{
	for (size_t i = 0; i < c->boxes->n; i++)
		compare_mailbox(c, &c->boxes->p[i]);
	for (size_t i = 0; i < c->old.n; i++) {
		const struct old_name *o = &c->old.p[i];
		if (!o->id || o->seen)
			continue;
		tell(c, o->name, IMAP_EVENT_MAILBOX_NAME, STR_NULL);
		tell_parent(c, o->name);
	}
	for (size_t i = 0; i < c->boxes->n; i++)
		compare_subscription(c, &c->boxes->p[i]);
	for (size_t i = 0; i < c->old.n; i++) {
		const struct old_name *o = &c->old.p[i];
		if ((o->what & WAS_SUBSCRIBED) && !strmap_get(&c->now, o->name))
			tell(c, o->name, IMAP_EVENT_SUBSCRIPTION_CHANGE, STR_NULL);
	}
}

int notify_names_tell(struct imap_session *s, const struct store_mailboxes *boxes,
		      struct imap_out *out, struct fail *why)
{
	AUTO(comparison) struct comparison c = {.s = s, .out = out, .boxes = boxes};
	AUTO(buf) struct buf names = BUF_INIT(NOTIFY_NAMES_MAX);
	struct notify *n = s->notify;
	read_old(&c, buf_str(&n->names));
	compare(&c);
	int r = notify_names_take(boxes, &names, why);
	if (r < 0)
		return r;
	pthread_mutex_lock(&n->lock);
	buf_clear(&n->names);
	n->names = buf_move(&names);
	pthread_mutex_unlock(&n->lock);
	return 0;
}

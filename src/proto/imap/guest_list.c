/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_list.c - mailboxes of other accounts in LIST and LSUB.                  [proto, imap]
 *
 * The owner's visit writes what the guest may look up, as bytes: for each mailbox u16 and name (as
 * the guest has it), u8 bits (1 \Noselect, 2 has children), u32 rights, u64 id, the counters. At
 * home these join the list of one's own, and LIST goes through all of them alike.
 */
#include "base/num.h"
#include "codec/imap/imap_list.h"
#include "proto/imap/guest_int.h"

enum { LISTED_NOSELECT = 1, LISTED_CHILDREN = 2 };

/* ---- at the owner's ----------------------------------------------------------------------------
 */

static bool has_visible_child(const struct store_mailboxes *all, const uint32_t *rights, size_t at)
{
	struct str name = all->p[at].name;
	for (size_t i = 0; i < all->n; i++)
		if ((rights[i] & IMAP_ACL_L) && all->p[i].name.n > name.n + 1 &&
		    str_starts(all->p[i].name, name) && all->p[i].name.p[name.n] == IMAP_SEPARATOR)
			return true;
	return false;
}

static int write_box(struct imap_session *s, const struct store_mailbox *box, uint32_t rights,
		     bool children, struct buf *out, struct fail *why)
{
	struct store_counters c = box->counters;
	int r = 0;
	/* What may not be read tells nothing. */
	if (!(rights & IMAP_ACL_R))
		c = (struct store_counters){0};
	else if (!box->noselect)
		r = store_unseen_of(s->store, s->account, box->id, s->viewer_id, &c.unseen, why);
	if (r < 0)
		return r;
	buf_put_u16(out, (uint16_t)(strlen(s->prefix) + box->name.n));
	buf_add_c(out, s->prefix);
	buf_add(out, box->name);
	buf_put_u8(out, (uint8_t)((box->noselect ? LISTED_NOSELECT : 0) |
				  (children ? LISTED_CHILDREN : 0)));
	buf_put_u32(out, rights);
	buf_put_u64(out, box->id.v);
	buf_put_u32(out, c.exists);
	buf_put_u32(out, c.unseen);
	buf_put_u32(out, c.deleted);
	buf_put_u64(out, c.size);
	buf_put_u64(out, c.deleted_size);
	buf_put_u32(out, c.uidnext.v);
	buf_put_u32(out, c.uidvalidity);
	buf_put_u64(out, c.highestmodseq.v);
	return 0;
}

int guest_list_write(struct imap_session *s, struct buf *out, struct fail *why)
{
	struct store_mailboxes all;
	struct store_acl acl;
	int r = store_acl_get(s->store, s->account, STR(""), &s->run.arena, &acl, why);
	if (r < 0 || acl.n == 0)
		return r;
	r = store_mailbox_list(s->store, s->account, &s->run.arena, &all, why);
	uint32_t *rights = r < 0 ? NULL : arena_array(&s->run.arena, uint32_t, all.n + 1);
	if (r == 0 && !rights)
		r = fail_set(why, FAIL_LIMIT, NULL, "arena full");
	for (size_t i = 0; r == 0 && i < all.n; i++)
		rights[i] = all.p[i].missing ? 0 : acl_rights_in(s, &acl, all.p[i].id);
	for (size_t i = 0; r == 0 && i < all.n; i++)
		if (rights[i] & IMAP_ACL_L)
			r = write_box(s, &all.p[i], rights[i], has_visible_child(&all, rights, i),
				      out, why);
	arena_clear(&s->run.arena);
	return r;
}

/* ---- at home
 * ------------------------------------------------------------------------------------- */

struct joining {
	struct imap_session *s;
	struct strmap known; /* name to place in `v`, plus one */
	VEC(struct store_mailbox) v;
	struct strmap *rights;
};

static void put(struct joining *j, const struct store_mailbox *box, uint32_t rights)
{
	size_t at = (uintptr_t)strmap_get(&j->known, box->name);
	if (at) {
		struct store_mailbox *old = &j->v.p[at - 1];
		bool subscribed = old->subscribed, children = old->has_children;
		if (old->missing)
			*old = *box;
		old->subscribed = subscribed;
		old->has_children = children || box->has_children;
	} else {
		*vec_push(&j->v) = *box;
		strmap_put(&j->known, box->name, (void *)(uintptr_t)j->v.n);
	}
	if (rights)
		strmap_put(j->rights, box->name, (void *)(uintptr_t)(rights + 1));
}

static bool read_box(struct cursor *c, struct arena *a, struct store_mailbox *box, uint32_t *rights)
{
	struct str name = cursor_bytes(c, cursor_u16(c));
	unsigned bits = cursor_u8(c);
	*rights = cursor_u32(c) & IMAP_ACL_ALL;
	*box = (struct store_mailbox){.name = arena_str(a, name),
				      .noselect = bits & LISTED_NOSELECT,
				      .has_children = bits & LISTED_CHILDREN};
	box->id.v = cursor_u64(c);
	box->counters.exists = cursor_u32(c);
	box->counters.unseen = cursor_u32(c);
	box->counters.deleted = cursor_u32(c);
	box->counters.size = cursor_u64(c);
	box->counters.deleted_size = cursor_u64(c);
	box->counters.uidnext.v = cursor_u32(c);
	box->counters.uidvalidity = cursor_u32(c);
	box->counters.highestmodseq.v = cursor_u64(c);
	return !c->bad && box->name.p;
}

/* "Shared" and "Shared/owner" are names without mailboxes. */
static void put_levels(struct joining *j, struct str prefix)
{
	for (size_t end = str_find(prefix, 0, IMAP_SEPARATOR); end < prefix.n;
	     end = str_find(prefix, end + 1, IMAP_SEPARATOR)) {
		struct store_mailbox level = {
			.name = str_sub(prefix, 0, end), .noselect = true, .has_children = true};
		put(j, &level, 0);
	}
}

/* One that cannot be asked now is not listed. */
static void join_owner(struct joining *j, struct str owner, struct str prefix)
{
	struct imap_session *s = j->s;
	struct fail why = FAIL_INIT;
	AUTO(imap_out) struct imap_out out = IMAP_OUT_INIT(IMAP_OUT_WINDOW);
	AUTO(imap_guest_answer) struct imap_guest_answer a = IMAP_GUEST_ANSWER_INIT;
	struct imap_guest_ask ask = {.what = IMAP_GUEST_LIST, .owner = owner, .prefix = prefix};
	struct store_mailbox box;
	uint32_t rights;
	if (guest_ask(s, &ask, &out, &a, &why) < 0)
		return;
	struct cursor c = cursor_of(buf_str(&out.text));
	bool any = false;
	while (cursor_left(&c) > 0 && read_box(&c, &s->run.arena, &box, &rights)) {
		put(j, &box, rights);
		any = true;
	}
	if (any)
		put_levels(j, prefix);
}

/* Could a name below `space` match? By what stands before the first wildcard. */
static bool may_match(const struct str *patterns, size_t n, struct str space)
{
	for (size_t i = 0; i < n; i++) {
		struct str p = patterns[i];
		size_t lit = MIN(str_find(p, 0, '*'), str_find(p, 0, '%'));
		struct str head = str_sub(p, 0, MIN(lit, space.n));
		bool whole = lit == p.n && p.n < space.n - 1;
		if (str_starts(space, head) && !whole)
			return true;
	}
	return false;
}

static int join_all(struct joining *j, bool shared, bool public, struct fail *why)
{
	struct imap_session *s = j->s;
	AUTO(buf) struct buf hosts = BUF_INIT(MIB(1));
	struct str list, owner, prefix;
	int r = shared ? s->hooks.hosts(s->hooks.arg, &hosts, why) : 0;
	if (r < 0)
		return r;
	list = arena_str(&s->run.arena, buf_str(&hosts));
	while (str_cut(&list, '\n', &owner)) {
		AUTO(buf) struct buf name = BUF_INIT(KIB(1));
		struct str known;
		buf_addf(&name, SHARED_PREFIX "%.*s/x", STR_ARG(owner));
		struct str kept = arena_str(&s->run.arena, buf_str(&name));
		if (guest_of_name(s, kept, &known, &prefix))
			join_owner(j, known, prefix);
	}
	if (public && guest_of_name(s, STR(PUBLIC_PREFIX "x"), &owner, &prefix))
		join_owner(j, owner, prefix);
	return 0;
}

int guest_list_join(struct imap_session *s, const struct str *patterns, size_t n,
		    struct store_mailboxes *boxes, struct strmap *rights, struct fail *why)
{
	struct joining j = {.s = s, .rights = rights};
	bool shared = s->hooks.hosts && may_match(patterns, n, STR(SHARED_PREFIX));
	bool public = s->config.public_account[0] && may_match(patterns, n, STR(PUBLIC_PREFIX));
	if (s->guest || !s->hooks.guest || (!shared && !public))
		return 0;
	for (size_t i = 0; i < boxes->n; i++) {
		*vec_push(&j.v) = boxes->p[i];
		strmap_put(&j.known, boxes->p[i].name, (void *)(uintptr_t)(i + 1));
	}
	size_t own = j.v.n;
	int r = join_all(&j, shared, public, why);
	struct store_mailbox *all =
		r < 0 ? NULL : arena_array(&s->run.arena, struct store_mailbox, j.v.n + 1);
	if (r == 0 && !all)
		r = fail_set(why, FAIL_LIMIT, "Too many mailboxes.", "arena full");
	if (r == 0 && (j.v.n > own || own > 0)) {
		memcpy(all, j.v.p, j.v.n * sizeof *all);
		*boxes = (struct store_mailboxes){all, j.v.n};
	}
	strmap_clear(&j.known);
	vec_clear(&j.v);
	return r;
}

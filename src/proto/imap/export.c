/* SPDX-License-Identifier: Apache-2.0 */
/*
 * export.c - a sleeping session as bytes (docs/formats/imap-session.md).        [proto, imap]
 *
 *     u8  version (3; 1 had no "$", 2 no fields)
 *     u64 account
 *     u32 enabled extensions (enum imap_enable_bit)
 *     u32 bad commands in a row
 *     u8  state bits: 1 a mailbox is selected, 2 it is read-only, 4 parked in IDLE
 *     u16 n, n bytes   the tag of IDLE (parked only, else n = 0)
 *     u32 n, n bytes   the view, by store_view_export (selected only, else n = 0)
 *     u32 n, n bytes   "$" (saved.h; selected only, else n = 0)
 *     fields of what not every session has, each once, ascending:
 *     u8 which, u32 n, n bytes
 *         1  NOTIFY, by notify_export
 *         2  searches with updates, by contexts_export
 *         3  the selected mailbox is another account's: u16 n and whose, u16 n and what its names
 *            begin with, and the state of the visit there (guest.h)
 *
 * A field of struct imap_session that outlives a command belongs here, and in the round trip of
 * session_test.c. Anything unknown is refused: a session is rebuilt exactly or not at all.
 */
#include "base/num.h"
#include "proto/imap/guest_int.h"
#include "proto/imap/notify.h"
#include "proto/imap/saved.h"

#define EXPORT_VERSION 3u
#define EXPORT_FIELDS  3u /* the first version that has them */
#define EXPORT_OLDEST  1u /* a worker of the build before had the session */
#define VIEW_MAX       KIB(256)

enum field { FIELD_NOTIFY = 1, FIELD_CONTEXTS = 2, FIELD_HOST = 3, FIELD_COUNT };

enum state_bits { STATE_SELECTED = 1, STATE_READ_ONLY = 2, STATE_PARKED = 4, STATE_ALL = 7 };

static uint8_t state_of(const struct imap_session *s)
{
	unsigned bits = 0;
	if (s->view)
		bits |= STATE_SELECTED;
	if (s->view && store_view_get_info(s->view)->read_only)
		bits |= STATE_READ_ONLY;
	if (s->parked)
		bits |= STATE_PARKED;
	return (uint8_t)bits;
}

unsigned imap_session_version(void)
{
	return EXPORT_VERSION;
}

static void put_field(struct buf *out, enum field which, struct str bytes)
{
	buf_put_u8(out, (uint8_t)which);
	buf_put_u32(out, (uint32_t)bytes.n);
	buf_add(out, bytes);
}

static void put_notify(struct buf *out, struct notify *n)
{
	AUTO(buf) struct buf b = BUF_INIT(NOTIFY_EXPORT_MAX);
	notify_export(n, &b);
	put_field(out, FIELD_NOTIFY, buf_str(&b));
}

static void put_contexts(struct buf *out, const struct imap_session *s)
{
	AUTO(buf) struct buf b = BUF_INIT(VIEW_MAX);
	contexts_export(s, &b);
	put_field(out, FIELD_CONTEXTS, buf_str(&b));
}

static void put_host(struct buf *out, const struct imap_session *s)
{
	AUTO(buf) struct buf b = BUF_INIT(IMAP_GUEST_STATE + KIB(2));
	struct str host = str_c(s->host), prefix = str_c(s->host_prefix);
	buf_put_u16(&b, (uint16_t)host.n);
	buf_add(&b, host);
	buf_put_u16(&b, (uint16_t)prefix.n);
	buf_add(&b, prefix);
	buf_add(&b, buf_str(&s->host_state));
	put_field(out, FIELD_HOST, buf_str(&b));
	out->failed |= b.failed;
}

int imap_session_export(const struct imap_session *s, struct buf *out, struct fail *why)
{
	if (s->run.stage != RUN_STAGE_NONE)
		return fail_set(why, FAIL_BUSY, NULL, "a command is unfinished");
	AUTO(buf) struct buf view = BUF_INIT(VIEW_MAX);
	if (s->view) {
		int r = store_view_export(s->view, &view, why);
		if (r < 0)
			return r;
	}
	struct str tag = s->parked ? buf_str(&s->run.tag) : STR_NULL;
	buf_put_u8(out, EXPORT_VERSION);
	buf_put_u64(out, s->account.v);
	buf_put_u32(out, s->enabled);
	buf_put_u32(out, s->bad_commands);
	buf_put_u8(out, state_of(s));
	buf_put_u16(out, (uint16_t)tag.n);
	buf_add(out, tag);
	buf_put_u32(out, (uint32_t)view.n);
	buf_add(out, buf_str(&view));
	buf_put_u32(out, (uint32_t)s->saved.n);
	buf_add(out, buf_str(&s->saved));
	if (s->notify)
		put_notify(out, s->notify);
	if (s->contexts.n)
		put_contexts(out, s);
	if (s->host)
		put_host(out, s);
	return out->failed || view.failed ? fail_set(why, FAIL_LIMIT, NULL, "export too large") : 0;
}

struct exported {
	struct account_id account;
	uint32_t enabled;
	uint32_t bad_commands;
	unsigned state;
	struct str tag;
	struct str view;
	struct str saved;
	struct str field[FIELD_COUNT];
};

static void read_fields(struct cursor *c, struct str field[FIELD_COUNT])
{
	for (unsigned last = 0; !c->bad && cursor_left(c) > 0;) {
		unsigned which = cursor_u8(c);
		if (which <= last || which >= FIELD_COUNT) {
			c->bad = true;
			return;
		}
		field[which] = cursor_bytes(c, cursor_u32(c));
		last = which;
	}
}

static bool read_exported(struct str bytes, struct exported *ret)
{
	struct cursor c = cursor_of(bytes);
	unsigned version = cursor_u8(&c);
	ret->account.v = cursor_u64(&c);
	ret->enabled = cursor_u32(&c);
	ret->bad_commands = cursor_u32(&c);
	ret->state = cursor_u8(&c);
	ret->tag = cursor_bytes(&c, cursor_u16(&c));
	ret->view = cursor_bytes(&c, cursor_u32(&c));
	ret->saved = version == EXPORT_OLDEST ? STR_NULL : cursor_bytes(&c, cursor_u32(&c));
	if (version >= EXPORT_FIELDS)
		read_fields(&c, ret->field);
	return !c.bad && cursor_left(&c) == 0 && version >= EXPORT_OLDEST &&
	       version <= EXPORT_VERSION && saved_valid(ret->saved) &&
	       (ret->enabled & ~(uint32_t)IMAP_ENABLE_ALL) == 0 &&
	       (ret->saved.n == 0 || (ret->state & STATE_SELECTED)) &&
	       (ret->field[FIELD_CONTEXTS].n == 0 || (ret->state & STATE_SELECTED)) &&
	       (ret->state & ~(unsigned)STATE_ALL) == 0 &&
	       (ret->view.n > 0) == ((ret->state & STATE_SELECTED) != 0) &&
	       (ret->tag.n > 0) == ((ret->state & STATE_PARKED) != 0);
}

/* Rights are those of now. */
static int restore_view(struct imap_session *s, const struct exported *e, struct fail *why)
{
	struct store_view_as as = acl_view_as(s, 0, false);
	int r = store_view_restore_as(s->store, e->view, &as, &s->view, why);
	if (r == 0)
		r = acl_refresh(s, why);
	arena_clear(&s->run.arena);
	return r;
}

static bool restore_host(struct imap_session *s, struct str bytes)
{
	struct cursor c = cursor_of(bytes);
	if (!bytes.p)
		return true;
	struct str host = cursor_bytes(&c, cursor_u16(&c));
	struct str prefix = cursor_bytes(&c, cursor_u16(&c));
	struct str state = cursor_bytes(&c, cursor_left(&c));
	if (c.bad || s->view || host.n == 0 || prefix.n == 0 || state.n == 0 ||
	    state.n > IMAP_GUEST_STATE)
		return false;
	s->host = session_copy(host);
	s->host_prefix = session_copy(prefix);
	buf_add(&s->host_state, state);
	return true;
}

static int restore_notify(struct imap_session *s, struct str bytes, struct fail *why)
{
	int r = notify_restore(s, bytes, why);
	arena_clear(&s->run.arena);
	return r;
}

static int restore(struct imap_session *s, const struct exported *e, struct fail *why)
{
	s->enabled = e->enabled;
	s->bad_commands = e->bad_commands;
	s->parked = e->state & STATE_PARKED;
	buf_add(&s->run.tag, e->tag);
	buf_add(&s->saved, e->saved);
	if (e->state & STATE_SELECTED) {
		int r = restore_view(s, e, why);
		if (r < 0)
			return r;
		const struct store_view_info *info = store_view_get_info(s->view);
		if (info->account.v != s->account.v ||
		    info->read_only != ((e->state & STATE_READ_ONLY) != 0))
			return fail_set(why, FAIL_CONFLICT, NULL, "the view is another one");
	}
	if (e->field[FIELD_NOTIFY].p) {
		int r = restore_notify(s, e->field[FIELD_NOTIFY], why);
		if (r < 0)
			return r;
	}
	if (!contexts_import(s, e->field[FIELD_CONTEXTS]))
		return fail_set(why, FAIL_CONFLICT, NULL, "searches that this build cannot read");
	if (!restore_host(s, e->field[FIELD_HOST]))
		return fail_set(why, FAIL_CONFLICT, NULL, "a visit that cannot be read");
	return s->parked ? idle_watch(s, why) : 0;
}

int imap_session_import(const struct imap_session_args *args, struct str exported,
			struct imap_session **ret, struct fail *why)
{
	struct exported e = {0};
	if (!read_exported(exported, &e) || e.account.v != args->account.v)
		return fail_set(why, FAIL_CONFLICT, NULL,
				"%zu bytes are no session of this account", exported.n);
	AUTO(imap_session) struct imap_session *s = imap_session_new(args);
	int r = restore(s, &e, why);
	if (r == -FAIL_SYNTAX || r == -FAIL_UNSUPPORTED || r == -FAIL_NOTFOUND || r == -FAIL_GONE ||
	    r == -FAIL_PERM)
		r = fail_set(why, FAIL_CONFLICT, NULL, "the view cannot be rebuilt (code %d)", -r);
	if (r < 0)
		return r;
	*ret = TAKE(s);
	return 0;
}

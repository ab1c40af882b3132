/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/imap/notify.h"
#include "base/num.h"
#include "codec/imap/imap_list.h"
#include "codec/imap/imap_write.h"
#include "sys/log.h"

#define ARENA_MAX KIB(256)

/* ---- the watch ----------------------------------------------------------------------------- */

static uint32_t events_of(unsigned kinds)
{
	return (kinds & STORE_EVENT_NEW ? (uint32_t)IMAP_EVENT_MESSAGE_NEW : 0) |
	       (kinds & STORE_EVENT_EXPUNGE ? (uint32_t)IMAP_EVENT_MESSAGE_EXPUNGE : 0) |
	       (kinds & STORE_EVENT_FLAGS ? (uint32_t)IMAP_EVENT_FLAG_CHANGE : 0);
}

static void note(struct notify *n, uint64_t mailbox, uint32_t events)
{
	size_t i = 0;
	while (i < n->n_notes && n->note[i].mailbox != mailbox)
		i++;
	if (i == NOTIFY_NOTES) {
		n->all = true;
		return;
	}
	if (i == n->n_notes)
		n->note[n->n_notes++] = (struct notify_note){.mailbox = mailbox};
	n->note[i].events |= events;
}

/* Those that this client sees. True: something was noted. */
static bool note_entries(struct notify *n, const struct store_event *e)
{
	uint32_t wanted = e->mailbox.v ? IMAP_EVENT_MAILBOX_METADATA_CHANGE
				       : IMAP_EVENT_SERVER_METADATA_CHANGE;
	size_t before = n->entries.n;
	if (!(n->other & wanted))
		return false;
	for (size_t i = 0; i < e->notes->n; i++) {
		struct str entry = e->notes->set[i].entry;
		if (str_starts(entry, STR("/private/")) && e->notes->viewer.v != n->viewer.v)
			continue;
		buf_put_u64(&n->entries, e->mailbox.v);
		buf_put_u16(&n->entries, (uint16_t)entry.n);
		buf_add(&n->entries, entry);
	}
	n->lost |= n->entries.failed;
	return n->lost || n->entries.n > before;
}

/* Runs on a committer's thread. */
static void happened(void *arg, const struct store_event *e)
{
	struct notify *n = arg;
	uint32_t events = events_of(e->kinds);
	bool wake = false;
	pthread_mutex_lock(&n->lock);
	n->modseq = MAX(n->modseq, e->modseq.v);
	if ((e->kinds & STORE_EVENT_MAILBOXES) && n->names.n)
		wake = n->names_news = true;
	if (e->kinds & STORE_EVENT_NOTES) {
		wake |= note_entries(n, e);
	} else if (e->mailbox.v && e->mailbox.v == n->selected_id) {
		if (events & notify_of_selected(n))
			wake = n->selected_news = true;
	} else if (e->mailbox.v && (events & n->other)) {
		note(n, e->mailbox.v, events);
		wake = true;
	}
	pthread_mutex_unlock(&n->lock);
	if (wake && n->hooks->wake)
		n->hooks->wake(n->hooks->arg);
}

void notify_select(struct imap_session *s)
{
	struct notify *n = s->notify;
	if (!n)
		return;
	uint64_t id = s->view ? store_view_get_info(s->view)->mailbox.v : 0;
	pthread_mutex_lock(&n->lock);
	n->selected_id = id;
	pthread_mutex_unlock(&n->lock);
}

void notify_own(struct imap_session *s, uint32_t uidvalidity, struct uid first, size_t n)
{
	if (s->notify && s->view && n && store_view_get_info(s->view)->uidvalidity == uidvalidity)
		s->notify->own = (struct uid_span){first.v, first.v + (uint32_t)(n - 1)};
}

bool notify_has_news(struct notify *n)
{
	pthread_mutex_lock(&n->lock);
	bool news = n->selected_news || n->names_news || n->all || n->lost || n->n_notes ||
		    n->entries.n;
	pthread_mutex_unlock(&n->lock);
	return news;
}

void notify_selected_seen(struct notify *n)
{
	pthread_mutex_lock(&n->lock);
	n->selected_news = false;
	pthread_mutex_unlock(&n->lock);
}

/* ---- which mailboxes ----------------------------------------------------------------------- */

static bool is_below(struct str name, struct str top)
{
	return name.n > top.n && str_starts(name, top) && name.p[top.n] == IMAP_SEPARATOR;
}

static bool is_named(const struct imap_notify_group *g, struct str name)
{
	bool subtree = g->filter == IMAP_NOTIFY_SUBTREE;
	for (size_t i = 0; i < g->mailbox_count; i++)
		if (str_eq(g->mailbox[i], name) || (subtree && is_below(name, g->mailbox[i])))
			return true;
	return false;
}

static bool is_of(const struct imap_notify_group *g, const struct store_mailbox *box)
{
	switch (g->filter) {
	case IMAP_NOTIFY_SELECTED:
	case IMAP_NOTIFY_SELECTED_DELAYED:
		return false;
	case IMAP_NOTIFY_INBOXES: /* mail may be delivered into any of them (alice+name) */
	case IMAP_NOTIFY_PERSONAL:
		return true;
	case IMAP_NOTIFY_SUBSCRIBED:
		return box->subscribed;
	case IMAP_NOTIFY_SUBTREE:
	case IMAP_NOTIFY_SUBTREE_ONE: /* the parser refuses it */
	case IMAP_NOTIFY_MAILBOXES:
		return is_named(g, box->name);
	}
	return false;
}

uint32_t notify_of_mailbox(const struct notify *n, const struct store_mailbox *box, uint32_t events)
{
	uint32_t found = 0;
	for (size_t i = 0; i < n->want.group_count; i++)
		if (is_of(&n->want.group[i], box))
			found |= n->want.group[i].events;
	return found & events;
}

/* ---- telling ------------------------------------------------------------------------------- */

/* By what was asked for, not by what happened: it says where the mailbox stands now. */
static uint32_t status_items(const struct imap_session *s, uint32_t events)
{
	uint32_t items = IMAP_STATUS_MESSAGES | IMAP_STATUS_UIDNEXT | IMAP_STATUS_UIDVALIDITY;
	if (events & IMAP_EVENT_FLAG_CHANGE)
		items |= IMAP_STATUS_UNSEEN;
	if (condstore_is_on(s))
		items |= IMAP_STATUS_HIGHESTMODSEQ;
	return items;
}

/* What the watch has noted, taken. */
struct taken {
	bool names, all;
	size_t n_notes;
	uint64_t modseq;
	struct buf entries;
	struct notify_note note[NOTIFY_NOTES];
};

static void taken_clear(struct taken *t)
{
	buf_clear(&t->entries);
}
DEFINE_AUTO(taken, struct taken, taken_clear);

static struct taken take(struct notify *n)
{
	pthread_mutex_lock(&n->lock);
	struct taken t = {.names = n->names_news,
			  .all = n->all,
			  .n_notes = n->n_notes,
			  .modseq = n->modseq,
			  .entries = buf_move(&n->entries)};
	memcpy(t.note, n->note, sizeof t.note);
	n->names_news = n->all = false;
	n->n_notes = 0;
	pthread_mutex_unlock(&n->lock);
	return t;
}

static uint32_t noted(const struct notify *n, const struct taken *t,
		      const struct store_mailbox *box)
{
	for (size_t i = 0; i < t->n_notes; i++)
		if (t->note[i].mailbox == box->id.v)
			return t->note[i].events;
	return t->all && box->counters.highestmodseq.v > n->told ? IMAP_EVENTS_OF_MESSAGES : 0;
}

static void tell_status(struct imap_session *s, struct imap_out *out,
			const struct store_mailboxes *boxes, const struct taken *t)
{
	const struct notify *n = s->notify;
	uint64_t selected = s->view ? store_view_get_info(s->view)->mailbox.v : 0;
	for (size_t i = 0; i < boxes->n; i++) {
		const struct store_mailbox *box = &boxes->p[i];
		if (box->missing || box->noselect || box->id.v == selected)
			continue;
		uint32_t wanted = notify_of_mailbox(n, box, IMAP_EVENTS_OF_MESSAGES);
		if (wanted & noted(n, t, box))
			write_status(s, out, box->name, status_items(s, wanted), box);
	}
}

/* Is the entry one that this session's own SETMETADATA has just set? */
static bool is_own_entry(const struct imap_session *s, struct str mailbox, struct str entry)
{
	const struct imap_setmetadata *m = &s->run.cmd.setmetadata;
	if (!s->run.row || s->run.cmd.kind != IMAP_CMD_SETMETADATA || !str_eq(m->mailbox, mailbox))
		return false;
	for (size_t i = 0; i < m->set_count; i++)
		if (str_eqi(m->set[i].entry, entry))
			return true;
	return false;
}

static const struct store_mailbox *by_id(const struct store_mailboxes *boxes, uint64_t id)
{
	for (size_t i = 0; i < boxes->n; i++)
		if (boxes->p[i].id.v == id)
			return &boxes->p[i];
	return NULL;
}

/* "* METADATA name /shared/comment": the names alone (RFC 5465 5.6, 5.7; RFC 5464 4.4.2). */
static void tell_entries(struct imap_session *s, struct imap_out *out,
			 const struct store_mailboxes *boxes, struct str entries)
{
	struct cursor c = cursor_of(entries);
	while (cursor_left(&c) > 0) {
		uint64_t id = cursor_u64(&c);
		struct str entry = cursor_bytes(&c, cursor_u16(&c));
		const struct store_mailbox *box = id ? by_id(boxes, id) : NULL;
		struct str name = box ? box->name : STR("");
		if ((id && (!box || !notify_of_mailbox(s->notify, box,
						       IMAP_EVENT_MAILBOX_METADATA_CHANGE))) ||
		    is_own_entry(s, name, entry))
			continue;
		buf_add(&out->text, STR("* METADATA "));
		write_name(s, &out->text, name);
		buf_addc(&out->text, ' ');
		imap_write_astring(&out->text, entry);
		buf_add(&out->text, STR("\r\n"));
	}
}

static void overflow(struct imap_session *s, struct imap_out *out)
{
	notify_free(s->notify);
	s->notify = xcalloc(1, sizeof *s->notify);
	pthread_mutex_init(&s->notify->lock, NULL);
	s->notify->text = BUF_INIT(NOTIFY_TEXT_MAX);
	(void)buf_add(&s->notify->text, STR("NOTIFY NONE"));
	buf_add(&out->text, STR("* OK [NOTIFICATIONOVERFLOW] Notifications are off now.\r\n"));
}

int notify_tell(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	struct notify *n = s->notify;
	struct store_mailboxes boxes;
	AUTO(taken) struct taken t = take(n);
	if (n->lost) {
		overflow(s, out);
		return 0;
	}
	if (!t.names && !t.all && t.n_notes == 0 && t.entries.n == 0)
		return 0;
	int r = store_mailbox_list(s->store, s->account, &s->run.arena, &boxes, why);
	if (r < 0) {
		pthread_mutex_lock(&n->lock);
		n->all = true;
		n->names_news |= t.names;
		pthread_mutex_unlock(&n->lock);
		return r;
	}
	if (t.names && notify_names_tell(s, &boxes, out, why) < 0) {
		overflow(s, out);
		return 0;
	}
	tell_status(s, out, &boxes, &t);
	tell_entries(s, out, &boxes, buf_str(&t.entries));
	n->told = MAX(n->told, t.modseq);
	return 0;
}

int notify_tell_status(struct imap_session *s, struct imap_out *out, struct fail *why)
{
	struct store_mailboxes boxes;
	struct taken every = {.all = true};
	int r = store_mailbox_list(s->store, s->account, &s->run.arena, &boxes, why);
	if (r < 0)
		return r;
	struct notify *n = s->notify;
	uint64_t told = n->told;
	n->told = 0;
	tell_status(s, out, &boxes, &every);
	n->told = told;
	return 0;
}

/* ---- life ---------------------------------------------------------------------------------- */

static int read_wish(struct notify *n, struct fail *why)
{
	AUTO(buf) struct buf line = BUF_INIT(NOTIFY_TEXT_MAX + 2);
	struct imap_cmd cmd;
	(void)buf_add(&line, STR("n "));
	(void)buf_add(&line, buf_str(&n->text));
	struct str text = arena_str(&n->arena, buf_str(&line)); /* names are borrowed from it */
	if (line.failed || !text.p)
		return fail_set(why, FAIL_LIMIT, "NOTIFY is too long.", "%zu bytes", n->text.n);
	struct imap_input in = {.text = text};
	int r = imap_cmd_parse(&in, NULL, &n->arena, &cmd, why);
	if (r == 0 && cmd.kind != IMAP_CMD_NOTIFY)
		return fail_set(why, FAIL_SYNTAX, NULL, "not NOTIFY");
	if (r < 0)
		return r;
	n->want = cmd.notify;
	return 0;
}

static int check_wish(const struct imap_session *s, struct notify *n, struct fail *why)
{
	for (size_t i = 0; i < n->want.group_count; i++) {
		const struct imap_notify_group *g = &n->want.group[i];
		if (g->events & ~(uint32_t)NOTIFY_EVENTS)
			return fail_set(why, FAIL_UNSUPPORTED, NULL, "events %x", g->events);
		if (g->filter == IMAP_NOTIFY_SELECTED || g->filter == IMAP_NOTIFY_SELECTED_DELAYED)
			n->selected = g;
		else if (!s->guest) /* of somebody else's account the selected mailbox alone */
			n->other |= g->events;
	}
	return 0;
}

/* The watch stands before the state is read, so that nothing falls between them. */
static int begin_watch(struct imap_session *s, struct notify *n, struct fail *why)
{
	struct store_usage usage;
	struct store_mailboxes boxes;
	n->hooks = &s->hooks;
	n->viewer = s->viewer_id;
	n->entries = BUF_INIT(NOTIFY_ENTRIES_MAX);
	n->selected_id = s->view ? store_view_get_info(s->view)->mailbox.v : 0;
	if (n->want.group_count == 0)
		return 0;
	int r = store_watch_add(s->store, s->account, (struct mailbox_id){0}, happened, n,
				&n->watch, why);
	if (r < 0 || (r = store_account_usage(s->store, s->account, &usage, why)) < 0)
		return r;
	n->told = usage.modseq.v;
	pthread_mutex_lock(&n->lock);
	n->modseq = MAX(n->modseq, usage.modseq.v);
	pthread_mutex_unlock(&n->lock);
	if (!(n->other & (IMAP_EVENT_MAILBOX_NAME | IMAP_EVENT_SUBSCRIPTION_CHANGE)))
		return 0;
	r = store_mailbox_list(s->store, s->account, &s->run.arena, &boxes, why);
	if (r < 0)
		return r;
	AUTO(buf) struct buf names = BUF_INIT(NOTIFY_NAMES_MAX);
	r = notify_names_take(&boxes, &names, why);
	pthread_mutex_lock(&n->lock);
	n->names = buf_move(&names);
	pthread_mutex_unlock(&n->lock);
	return r;
}

int notify_new(struct imap_session *s, struct str text, struct notify **ret, struct fail *why)
{
	AUTO(notify) struct notify *n = xcalloc(1, sizeof *n);
	pthread_mutex_init(&n->lock, NULL);
	n->text = BUF_INIT(NOTIFY_TEXT_MAX);
	n->arena = ARENA_INIT(ARENA_MAX);
	if (buf_add(&n->text, text) < 0)
		return fail_set(why, FAIL_LIMIT, "NOTIFY is too long.", "%zu bytes", text.n);
	int r = read_wish(n, why);
	if (r == 0)
		r = check_wish(s, n, why);
	if (r == 0)
		r = begin_watch(s, n, why);
	if (r == 0)
		*ret = TAKE(n);
	return r;
}

/* ---- to another process -------------------------------------------------------------------- */

static uint64_t names_digest(const struct notify *n)
{
	return n->names.n ? str_hash(buf_str(&n->names)) : 0;
}

void notify_export(struct notify *n, struct buf *out)
{
	struct str names = n->names.n <= NOTIFY_NAMES_EXPORTED ? buf_str(&n->names) : STR_NULL;
	pthread_mutex_lock(&n->lock);
	if (!n->all && n->n_notes == 0) /* what was seen since needed no telling */
		n->told = MAX(n->told, n->modseq);
	pthread_mutex_unlock(&n->lock);
	buf_put_u64(out, n->told);
	buf_put_u64(out, names_digest(n));
	buf_put_u16(out, (uint16_t)n->text.n);
	buf_add(out, buf_str(&n->text));
	buf_put_u32(out, (uint32_t)names.n);
	buf_add(out, names);
}

/* The names that were told, for the comparison with those of now. */
static void restore_names(struct notify *n, uint64_t digest, struct str names)
{
	if (names_digest(n) == digest)
		return;
	n->lost = names.n == 0 || str_hash(names) != digest;
	buf_reset(&n->names);
	(void)buf_add(&n->names, names);
	n->names_news = true;
}

int notify_restore(struct imap_session *s, struct str exported, struct fail *why)
{
	struct cursor c = cursor_of(exported);
	uint64_t told = cursor_u64(&c), digest = cursor_u64(&c);
	struct str text = cursor_bytes(&c, cursor_u16(&c));
	struct str names = cursor_bytes(&c, cursor_u32(&c));
	struct notify *n;
	if (c.bad || cursor_left(&c) || !notify_names_valid(names))
		return fail_set(why, FAIL_CONFLICT, NULL, "a damaged field");
	int r = notify_new(s, text, &n, why);
	if (r < 0)
		return r;
	s->notify = n;
	n->told = told;
	pthread_mutex_lock(&n->lock);
	if (n->want.group_count) {
		restore_names(n, digest, names);
		n->all = n->other & IMAP_EVENTS_OF_MESSAGES;
		n->selected_news = n->selected && n->selected_id;
	}
	pthread_mutex_unlock(&n->lock);
	return 0;
}

void notify_free(struct notify *n)
{
	if (!n)
		return;
	store_watch_remove(n->watch);
	pthread_mutex_destroy(&n->lock);
	buf_clear(&n->text);
	buf_clear(&n->names);
	buf_clear(&n->entries);
	arena_clear(&n->arena);
	free(n);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quit.c - QUIT: what was marked is deleted, as the policy says; what was fetched is seen.
 *                                                                         [proto, pop3]
 * RFC 1939 section 6. One transaction of the store: killed anywhere, all of it has happened or
 * nothing.
 */
#include "base/vec.h"
#include "proto/pop3/pop3_int.h"
#include "sys/crash.h"
#include "sys/log.h"

#define ARENA_MAX MIB(64) /* a run for each message, at the worst */

/* Client's numbers as a set of the view. */
static int set_of_marks(struct pop3_session *s, const struct pop3_marks *marks, struct arena *a,
			struct store_set *ret, struct fail *why)
{
	struct store_range *ranges = arena_array(a, struct store_range, marks->count);
	uint32_t first, last, at = 1;
	size_t n = 0;
	*ret = (struct store_set){0};
	if (!ranges)
		return fail_set(why, FAIL_LIMIT, NULL, "%u messages marked", marks->count);
	for (; pop3_marks_run(marks, at, &first, &last); at = last + 1) {
		if (!s->hidden.count) {
			ranges[n++] = (struct store_range){first, last};
			continue;
		}
		for (uint32_t k = first; k <= last; k++)
			ranges[n++] = (struct store_range){pop3_seq_of(s, k), pop3_seq_of(s, k)};
	}
	return n ? store_view_resolve(s->view, ranges, n, false, a, ret, why) : 0;
}

/* The folder with this use, made when there is none. */
static int find_folder(struct pop3_session *s, struct arena *a, struct str *ret, struct fail *why)
{
	bool trash = s->config.deleted == POP3_DELETED_TRASH;
	unsigned use = trash ? STORE_USE_TRASH : STORE_USE_ARCHIVE;
	struct store_mailboxes all;
	struct mailbox_id id;
	int r = store_mailbox_list(s->store, s->account, a, &all, why);
	for (size_t i = 0; r == 0 && i < all.n; i++) {
		if (!(all.p[i].use & use) || all.p[i].noselect || all.p[i].missing)
			continue;
		*ret = all.p[i].name;
		return 0;
	}
	*ret = trash ? STR("Trash") : STR("Archive");
	if (r == 0)
		r = store_mailbox_create(s->store, s->account, *ret, use, &id, why);
	return r == -FAIL_EXISTS ? 0 : r;
}

static int update(struct pop3_session *s, struct fail *why)
{
	static const struct str keep_word = STR(POP3_KEEP_KEYWORD);
	AUTO(arena) struct arena a = ARENA_INIT(ARENA_MAX);
	struct store_set gone, seen;
	struct store_flagset keep = {.bits = STORE_SEEN, .keywords = &keep_word, .n_keywords = 1};
	struct store_leaving leaving = {.seen = &seen, .gone = &gone};
	int r = set_of_marks(s, &s->deleted, &a, &gone, why);
	if (r == 0)
		r = set_of_marks(s, &s->fetched, &a, &seen, why);
	if (r == 0 && gone.n && s->config.deleted == POP3_DELETED_KEEP)
		leaving.mark = &keep;
	else if (r == 0 && gone.n && s->config.deleted != POP3_DELETED_EXPUNGE)
		r = find_folder(s, &a, &leaving.target, why);
	CRASH_POINT("user.pop3-update");
	if (r == 0 && (gone.n || seen.n))
		r = store_view_leave(s->view, &leaving, why);
	CRASH_POINT("user.pop3-updated");
	return r;
}

enum pop3_next pop3_cmd_quit(struct pop3_session *s, const struct pop3_out *out)
{
	struct fail why = FAIL_INIT;
	int r = s->deleted.count || s->fetched.count ? update(s, &why) : 0;
	log_event(LOG_INFO, "pop3.quit", log_u64("fetched", s->fetched.count),
		  log_u64("deleted", r == 0 ? s->deleted.count : 0),
		  log_u64("left", s->exists - (r == 0 ? s->deleted.count : 0)));
	s->changed = r == 0 && s->deleted.count;
	if (r < 0 && s->deleted.count) { /* RFC 1939 section 6: and the connection is closed */
		log_event(LOG_ERROR, "pop3.failed", log_fail(&why));
		pop3_say_err(out, "[SYS/TEMP] ", T("Nothing was deleted, try again later."));
		return POP3_CLOSE;
	}
	pop3_say_ok(out, T("Until next time."));
	return POP3_CLOSE;
}

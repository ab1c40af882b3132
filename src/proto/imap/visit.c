/* SPDX-License-Identifier: Apache-2.0 */
/*
 * visit.c - a question of another account's session, answered at the owner's store (guest.h).
 *                                                                              [proto, imap]
 */
#include "proto/imap/guest_int.h"

struct imap_visit {
	struct imap_session *session;
	struct buf text, filters; /* of an unfinished command */
};

void imap_visit_free(struct imap_visit *v)
{
	if (!v)
		return;
	imap_session_free(v->session);
	buf_clear(&v->text);
	buf_clear(&v->filters);
	free(v);
}
DEFINE_AUTO_PTR(imap_visit, struct imap_visit, imap_visit_free);

void imap_guest_answer_clear(struct imap_guest_answer *a)
{
	buf_clear(&a->reply);
	buf_clear(&a->state);
}

/* The session as it was left, or a new one. */
static int open_visit(struct imap_visit **v, const struct imap_session_args *args,
		      const struct imap_guest_ask *ask, struct fail *why)
{
	if (!*v) {
		*v = xcalloc(1, sizeof **v);
		(*v)->text = BUF_INIT(MIB(4));
		(*v)->filters = BUF_INIT(IMAP_GUEST_NOTES);
	}
	if ((*v)->session)
		return 0;
	if (ask->state.n)
		return imap_session_import(args, ask->state, &(*v)->session, why);
	(*v)->session = imap_session_new(args);
	return 0;
}

/* A mailbox that one may not read any more is left. */
static void check_selected(struct imap_session *s, struct imap_out *out)
{
	uint32_t rights = 0;
	if (!s->view || (acl_selected(s, &rights, NULL) == 0 && (rights & IMAP_ACL_R)))
		return;
	session_deselect(s);
	s->parked = false;
	buf_add(&out->text, STR("* OK [CLOSED] You may not read the mailbox any more\r\n"));
}

static int answer(struct imap_visit *v, enum imap_next next, struct imap_guest_answer *ret,
		  struct fail *why)
{
	struct imap_session *s = v->session;
	ret->next = next;
	ret->enabled = s->enabled;
	ret->selected = s->view != NULL;
	buf_reset(&ret->reply);
	buf_add(&ret->reply, buf_str(&s->told_reply));
	buf_clear(&s->told_reply);
	buf_reset(&ret->state);
	if ((next == IMAP_DONE || next == IMAP_PARK) && s->view)
		return imap_session_export(s, &ret->state, why);
	return 0;
}

static enum imap_next command(struct imap_visit *v, const struct imap_guest_ask *ask,
			      struct imap_out *out)
{
	struct imap_session *s = v->session;
	buf_reset(&v->text);
	buf_add(&v->text, ask->text);
	buf_reset(&v->filters);
	buf_add(&v->filters, ask->filters);
	s->filters = buf_str(&v->filters);
	struct imap_session_input in = {.cmd = {.text = buf_str(&v->text),
						.external = ask->external,
						.external_count = ask->external_count},
					.body = ask->bodies};
	s->taking = ask->what == IMAP_GUEST_TAKE;
	return imap_session_command(s, &in, out);
}

static int serve(struct imap_visit *v, const struct imap_guest_ask *ask, struct imap_out *out,
		 struct imap_guest_answer *ret, struct fail *why)
{
	struct imap_session *s = v->session;
	enum imap_next next = IMAP_DONE;
	int r = 0;
	bool writes = ask->what == IMAP_GUEST_PUT || ask->what == IMAP_GUEST_UNDO ||
		      ask->what == IMAP_GUEST_FORGET;
	if (writes && !(s->rights & IMAP_RIGHT_WRITE))
		return fail_set(why, FAIL_PERM, "You may only read.", "a session that only reads");
	s->enabled |= ask->enabled;
	out->pieces_max = IMAP_GUEST_BODIES;
	switch (ask->what) {
	case IMAP_GUEST_COMMAND:
	case IMAP_GUEST_TAKE:
		next = command(v, ask, out);
		break;
	case IMAP_GUEST_RESUME:
		next = imap_session_resume(s, out);
		break;
	case IMAP_GUEST_WAKE:
		next = imap_session_wake(s, out);
		break;
	case IMAP_GUEST_LIST:
		r = guest_list_write(s, &out->text, why);
		break;
	case IMAP_GUEST_PUT:
		r = cross_put(s, ask, &s->told_reply, why);
		break;
	case IMAP_GUEST_UNDO:
	case IMAP_GUEST_FORGET:
		r = cross_receipts(s, ask, why);
		break;
	case IMAP_GUEST_END:
	case IMAP_GUEST_WHAT_COUNT:
		break;
	}
	return r < 0 ? r : answer(v, next, ret, why);
}

int imap_visit_serve(struct imap_visit **v, const struct imap_session_args *args,
		     const struct imap_guest_ask *ask, struct imap_out *out,
		     struct imap_guest_answer *ret, struct fail *why)
{
	AUTO(imap_visit) struct imap_visit *visit = TAKE(*v);
	if (ask->what == IMAP_GUEST_END)
		return 0;
	bool unfinished = visit && visit->session && visit->session->run.stage != RUN_STAGE_NONE;
	if (ask->what == IMAP_GUEST_RESUME && !unfinished)
		return fail_set(why, FAIL_CONFLICT, NULL, "nothing is unfinished");
	if (unfinished && ask->what != IMAP_GUEST_RESUME) { /* given up by who asks */
		imap_visit_free(visit);
		visit = NULL;
	}
	bool fresh = !visit || !visit->session;
	int r = open_visit(&visit, args, ask, why);
	if (r == 0 && !fresh && ask->what != IMAP_GUEST_RESUME) {
		visit->session->rights_known = false;
		if (visit->session->view && acl_refresh(visit->session, why) < 0)
			r = -FAIL_CONFLICT;
	}
	if (r < 0)
		return r;
	if (ask->what != IMAP_GUEST_RESUME)
		check_selected(visit->session, out);
	r = serve(visit, ask, out, ret, why);
	if (r == 0 && (ret->next == IMAP_MORE || ret->next == IMAP_PARK))
		*v = TAKE(visit);
	return r;
}

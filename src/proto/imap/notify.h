/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify.h - what a client wants to be told of (NOTIFY, RFC 5465).             [proto, imap]
 *
 * Between a NOTIFY command and the next one a session has one of these, and one watch over its
 * account. The watch only takes notes, in a space of fixed size; what is to be said is found by the
 * session itself, on its lane, when it is woken or at the end of a command:
 *
 *  - The selected mailbox: by the session's usual sync, which notify_sync_how restrains.
 *  - Other mailboxes: a STATUS of each that was noted. With too many for the notes: of all that
 * have a MODSEQ above the last one that was told.
 *  - Annotations: the names of those that changed, noted as text.
 *  - Names and subscriptions: by comparing the list of mailboxes with the one before, kept as names
 *    (notify_names.c), only when such events were asked for.
 *
 * A session's own changes of names are not told to it; its own messages in other mailboxes are.
 */
#ifndef BARID_PROTO_IMAP_NOTIFY_H
#define BARID_PROTO_IMAP_NOTIFY_H

#include "proto/imap/imap_int.h"
#include <pthread.h>

#define NOTIFY_TEXT_MAX	      KIB(8)
#define NOTIFY_NAMES_MAX      KIB(256)
#define NOTIFY_NOTES	      16
#define NOTIFY_NAMES_EXPORTED KIB(16)

/* What can be asked for; others are answered by BADEVENT. */
#define NOTIFY_EVENTS                                                                              \
	(IMAP_EVENT_MESSAGE_NEW | IMAP_EVENT_MESSAGE_EXPUNGE | IMAP_EVENT_FLAG_CHANGE |            \
	 IMAP_EVENT_MAILBOX_NAME | IMAP_EVENT_SUBSCRIPTION_CHANGE |                                \
	 IMAP_EVENT_MAILBOX_METADATA_CHANGE | IMAP_EVENT_SERVER_METADATA_CHANGE)

#define NOTIFY_ENTRIES_MAX KIB(4)

struct notify_note {
	uint64_t mailbox;
	uint32_t events; /* enum imap_notify_event */
};

struct notify {
	struct buf text; /* the command without its tag: what an export holds */
	struct arena arena;
	struct imap_notify want;
	const struct imap_notify_group *selected; /* NULL: nothing of the selected mailbox */
	uint32_t other;				  /* events of the other groups, together */
	struct buf names; /* the list of mailboxes as it was told; empty: not asked for */
	uint64_t told;	  /* MODSEQ of the account up to which other mailboxes were told */
	struct uid_span {
		uint32_t first, last;
	} own; /* UIDs that this session itself has just put into the selected mailbox */
	const struct imap_hooks *hooks;
	struct account_id viewer; /* whose private annotations are told */
	struct store_watch *watch;

	pthread_mutex_t lock; /* guards what is below; the watch writes it */
	uint64_t selected_id; /* 0: none */
	bool selected_news;
	bool names_news;
	bool all;	    /* there was no room for a note */
	bool lost;	    /* nobody knows what has happened to the names */
	struct buf entries; /* annotations that changed: u64 mailbox, u16 length, entry */
	size_t n_notes;
	uint64_t modseq; /* of the last event */
	struct notify_note note[NOTIFY_NOTES];
};

/*
 * Begin what `text` (a NOTIFY command without its tag) asks for, with the state of the account as
 * it is now for told. -FAIL_SYNTAX; -FAIL_UNSUPPORTED: an event that is not in NOTIFY_EVENTS;
 * -FAIL_LIMIT.
 */
MUST_CHECK int notify_new(struct imap_session *s, struct str text, struct notify **ret,
			  struct fail *why);
/*
 * u64 MODSEQ up to which other mailboxes were told, u64 digest of the names that were told (0: not
 * asked for), u16 n and n bytes of the command, u32 n and n bytes of these names: none when they
 * are more than 16 KiB.
 */
#define NOTIFY_EXPORT_MAX (NOTIFY_TEXT_MAX + NOTIFY_NAMES_EXPORTED + 64)
void notify_export(struct notify *n, struct buf *out);
/* The same again: the next notify_tell brings what has happened since. Where the names were not
 * exported and are others now, nobody knows what happened to them: NOTIFICATIONOVERFLOW. */
MUST_CHECK int notify_restore(struct imap_session *s, struct str exported, struct fail *why);
void notify_free(struct notify *n); /* NULL is fine */
DEFINE_AUTO_PTR(notify, struct notify, notify_free);

/* Of the selected mailbox, by NOTIFY. */
static inline uint32_t notify_of_selected(const struct notify *n)
{
	return n->selected ? n->selected->events : 0;
}
/* The events of messages that are to be told of a mailbox that is not selected. */
uint32_t notify_of_mailbox(const struct notify *n, const struct store_mailbox *box,
			   uint32_t events);
/* `n` messages from `first` on, in the mailbox with this UIDVALIDITY (which is one mailbox of the
 * account), are this session's own. */
void notify_own(struct imap_session *s, uint32_t uidvalidity, struct uid first, size_t n);
/* The mailbox that is selected now. */
void notify_select(struct imap_session *s);
/* Has the watch seen something that is to be told? */
bool notify_has_news(struct notify *n);
/* The selected mailbox is looked at now. */
void notify_selected_seen(struct notify *n);
/* "* STATUS" and "* LIST" for what happened outside of the selected mailbox. What cannot be told
 * ends in NOTIFICATIONOVERFLOW, and NOTIFY is as NONE from then on. */
MUST_CHECK int notify_tell(struct imap_session *s, struct imap_out *out, struct fail *why);
/* "* STATUS" of each mailbox that is not selected and has events of messages (NOTIFY SET STATUS).
 */
MUST_CHECK int notify_tell_status(struct imap_session *s, struct imap_out *out, struct fail *why);

/* notify_names.c */
/* The list as notify.names keeps it. -FAIL_LIMIT. */
MUST_CHECK int notify_names_take(const struct store_mailboxes *boxes, struct buf *ret,
				 struct fail *why);
bool notify_names_valid(struct str names);
/* "* LIST" of what differs from n->names, which becomes the list. -FAIL_LIMIT: it is too long. */
MUST_CHECK int notify_names_tell(struct imap_session *s, const struct store_mailboxes *boxes,
				 struct imap_out *out, struct fail *why);

/* notify_fetch.c: the attributes of new messages, behind their EXISTS. 0 or RUN_MORE. */
MUST_CHECK int notify_fetch_step(struct imap_session *s, struct imap_out *out, struct fail *why);
void notify_fetch_end(struct sync_cursor *c);

#endif

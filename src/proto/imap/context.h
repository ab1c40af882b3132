/* SPDX-License-Identifier: Apache-2.0 */
/*
 * context.h - results that a client is told changes of (RFC 5267).              [proto, imap]
 *
 * SEARCH or SORT with RETURN (UPDATE) begins a context: its program and the messages that it found
 * are kept, and whenever the session tells news of the mailbox, also in IDLE, it tells what came
 * into the result and what left it. Only messages whose modseq has grown are looked at.
 *
 * What is kept of a context is bytes: the program as a command, and the UIDs in their order as
 * runs. All contexts of a session together stay below CONTEXTS_BYTES, because they are a part of
 * the exported session; a context that would need more is refused, or ended, with NOUPDATE.
 */
#ifndef BARID_PROTO_IMAP_CONTEXT_H
#define BARID_PROTO_IMAP_CONTEXT_H

#include "proto/imap/search_int.h"

#define CONTEXTS_MAX   8
#define CONTEXTS_BYTES KIB(32)

struct context {
	struct buf tag;
	struct buf program; /* tag, blank, command without RETURN */
	struct buf list;    /* context_list.c */
	uint64_t modseq;    /* changes up to it are in the list */
};

/* For a command with UPDATE, before its sets are resolved: what is asked again later. Message
 * numbers and "$" become the UIDs that they mean now. */
MUST_CHECK int context_program(struct imap_session *s, struct buf *ret, struct fail *why);
/* Is there a context of this tag? */
bool context_exists(const struct imap_session *s, struct str tag);
/* The command has its result, as of `modseq`: begin, or tell NOUPDATE. */
void context_begin(struct imap_session *s, const struct search_hits *h, struct str program,
		   uint64_t modseq, struct imap_out *out);

/* ---- between context.c and context_update.c -------------------------------------------------- */

/* Its list is now this. False when that is too much. */
bool context_keep(struct imap_session *s, struct context *c, const uint32_t *uid, size_t n);
/* NOUPDATE, and it is gone. */
void context_end(struct imap_session *s, size_t at, struct imap_out *out, const char *text);

/* ---- lists of UIDs as bytes (context_list.c) ------------------------------------------------ */

/* In this order; out->failed when it is too long. */
void context_list_put(struct buf *out, const uint32_t *uid, size_t n);
/* False for bytes that put does not write. *ret is the caller's to free. */
MUST_CHECK bool context_list_get(struct str bytes, uint32_t **ret, size_t *ret_n);

#endif

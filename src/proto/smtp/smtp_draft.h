/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smtp_draft.h - a message that is written anew.                               [proto/smtp only]
 *
 * Milters and the operator's tables of content change what a message says. Its new text is
 * collected here, in memory while it is small and else in a body file of the queue, and takes the
 * place of the one that came: hashed and indexed like it.
 */
#ifndef BARID_PROTO_SMTP_SMTP_DRAFT_H
#define BARID_PROTO_SMTP_SMTP_DRAFT_H

#include "proto/smtp/smtp_message.h"

struct smtp_draft {
	const struct smtp_backend *b;
	struct buf bytes;
	struct spool_body_id id; /* of the file; zero: there is none */
	int fd;			 /* -1: bytes */
	uint64_t size;
	bool cr; /* for the writer: a CR came last, and what it means is not known yet */
};

struct smtp_draft smtp_draft_of(const struct smtp_backend *b);
void smtp_draft_clear(struct smtp_draft *d); /* forget it, with its file */
DEFINE_AUTO(smtp_draft, struct smtp_draft, smtp_draft_clear);
MUST_CHECK int smtp_draft_add(struct smtp_draft *d, struct str s, struct fail *why);
/* The draft becomes the message that arrives, and is looked at like one. */
MUST_CHECK int smtp_draft_take(struct smtp_draft *d, struct smtp_incoming *in, struct fail *why);

#endif

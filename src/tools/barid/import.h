/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import.h - between the files of `barid import`.                                          [tools]
 */
#ifndef BARID_TOOLS_BARID_IMPORT_H
#define BARID_TOOLS_BARID_IMPORT_H

#include "base/vec.h"
#include "codec/mailfile/maildir.h"
#include "tools/barid/feed.h"
#include "tools/barid/progress.h"

#define IMPORT_ERRORS_MAX 1000

struct import_error {
	char *name, *why;
};
struct import {
	const char *state; /* of the server */
	bool dry_run;
	struct account_id account;
	struct tool_link *link; /* NULL in a dry run */
	struct progress progress;
	struct feed_counts counts; /* in a dry run `added` is what was found */
	VEC(struct import_error) errors;
	size_t more_errors;
	uid_t owner; /* of the Maildir: its messages are this user's too */
	/* of the mailbox at hand */
	struct feed *feed;
	char mailbox[1100];
};

/* Something that could not be imported; told at the end. */
void import_error(struct import *im, const char *name, const char *why);
void import_refused(void *im, const char *name, const char *why); /* for feed_target */

/* Begin with a mailbox (made when missing) and end with it; one line says what came of it. */
MUST_CHECK int import_begin(struct import *im, const char *mailbox, uint32_t uidvalidity,
			    uint32_t uidnext, bool subscribe, struct fail *why);
MUST_CHECK int import_end(struct import *im, uint32_t uidvalidity, struct fail *why);
MUST_CHECK int import_subscribe(struct import *im, const char *mailbox, struct fail *why);

/*
 * One message on its way: bytes as they are read, bare LF becomes CRLF. Small ones stay in memory,
 * large ones go to a file of the server.
 */
struct intake {
	struct import *im;
	struct buf b;
	uint64_t size;
	bool cr; /* the last byte was CR */
	int fd;
	char id[16];
};
void intake_begin(struct intake *in, struct import *im);
MUST_CHECK int intake_add(struct intake *in, struct str bytes, struct fail *why);
/* Fill body, body_id and size of m and give it to the feed. */
MUST_CHECK int intake_end(struct intake *in, struct feed_message *m, struct fail *why);
void intake_clear(struct intake *in);

/*
 * key = SHA-256 of account, kind, mailbox and what names the message in its source. Accounts share
 * a partition, and may be given the same file.
 */
void import_key(const struct import *im, unsigned char key[32], const char *kind,
		const char *mailbox, struct str what);

MUST_CHECK int import_maildir(struct import *im, const char *path, struct fail *why);
MUST_CHECK int import_mbox(struct import *im, const char *path, const char *mailbox,
			   struct fail *why);

#endif

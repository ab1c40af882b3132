/* SPDX-License-Identifier: Apache-2.0 */
/*
 * maildir.h - names and side files of Maildir as Dovecot writes them.          [codec, pure]
 *
 * Formats: doc.dovecot.org "Maildir", "dovecot-uidlist". Strings are borrowed from the input.
 */
#ifndef BARID_CODEC_MAILFILE_MAILDIR_H
#define BARID_CODEC_MAILFILE_MAILDIR_H

#include "base/buf.h"

enum mailfile_flag { /* the bits of service/store's system flags */
		     MAILFILE_ANSWERED = 1u << 0,
		     MAILFILE_FLAGGED = 1u << 1,
		     MAILFILE_DELETED = 1u << 2,
		     MAILFILE_SEEN = 1u << 3,
		     MAILFILE_DRAFT = 1u << 4,
};

/* "1276528487.M364837P9451.host,S=1355,W=1394:2,FSab" */
struct maildir_name {
	struct str unique; /* up to the first ',' or ':' : stays when the file is renamed */
	struct str base;   /* up to ":2," */
	uint32_t flags;	   /* MAILFILE_ */
	bool passed;	   /* P: $Forwarded */
	uint32_t keywords; /* bit 0 = 'a', up to 'z' */
	uint64_t time;	   /* its leading number, 0 = none */
};
/* False: no name of a message (hidden, empty, too long). */
bool maildir_name_parse(struct str name, struct maildir_name *ret);
/* Append ":2," and the letters of flags in their order. */
int maildir_flags_write(struct buf *out, uint32_t flags, bool passed, uint32_t keywords);

/* dovecot-uidlist, line by line. */
struct uidlist_head {
	unsigned version; /* 1 or 3 */
	uint32_t uidvalidity, uidnext;
};
bool uidlist_head_parse(struct str line, struct uidlist_head *ret);
struct uidlist_entry {
	uint32_t uid;
	struct str file;
};
bool uidlist_entry_parse(struct str line, unsigned version, struct uidlist_entry *ret);

/* dovecot-keywords: "0 $Forwarded". Index below 26 and a name that IMAP can carry. */
bool maildir_keyword_parse(struct str line, unsigned *ret_index, struct str *ret_name);
/* Can a flag have this name (RFC 3501 atom)? */
bool mailfile_is_atom(struct str s);

/* Maildir++ folder ".Work.2026" to "Work/2026", each level modified UTF-7 or UTF-8. False: none. */
bool maildir_folder_name(struct str name, struct buf *out);
/* And back, modified UTF-7; a '.' in a level has no spelling and becomes '_'. */
int maildir_folder_write(struct str mailbox, struct buf *out);

/* One line of the `subscriptions` file; version 2 separates levels by tabs and escapes. */
bool maildir_subscription_parse(struct str line, bool v2, struct buf *out);

#endif

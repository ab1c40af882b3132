/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive.h - a partition's file on its own: what a backup holds, and what a restore needs of it.
 *                                                                             [service/store]
 *
 * An archive is read by one thread. Strings that callbacks get live during the call; a negative
 * result of a callback ends the reading and is returned.
 */
#ifndef BARID_SERVICE_STORE_ARCHIVE_H
#define BARID_SERVICE_STORE_ARCHIVE_H

#include "base/auto.h"
#include "base/fail.h"
#include "base/ids.h"
#include "base/str.h"

struct store_archive;

enum store_archive_how {
	STORE_ARCHIVE_FROZEN, /* of this program's version, and not written by anybody: only read */
	STORE_ARCHIVE_PRIVATE, /* a copy that is the caller's alone: brought up to date, may change
				*/
};
/* -FAIL_UNSUPPORTED: not a partition's file, or of a newer barid. */
MUST_CHECK int store_archive_open(const char *path, enum store_archive_how how,
				  struct store_archive **ret, struct fail *why);
void store_archive_close(struct store_archive *a); /* NULL is fine */
DEFINE_AUTO_PTR(store_archive, struct store_archive, store_archive_close);

/* ---- reading ---- */

struct store_archive_file { /* a body file, as the blob tree names it */
	struct account_id account;
	unsigned char id[16];
	uint64_t size;
	unsigned char sha256[32];
};
/* Each once; account {0} = of all. */
MUST_CHECK int store_archive_files(struct store_archive *a, struct account_id account,
				   int (*fn)(void *arg, const struct store_archive_file *f),
				   void *arg, struct fail *why);

struct store_archive_mailbox {
	struct mailbox_id id; /* {0}: only subscribed */
	struct str name;
	unsigned use;
	uint32_t uidvalidity, uidnext, exists;
	bool noselect, subscribed;
};
MUST_CHECK int store_archive_mailboxes(struct store_archive *a, struct account_id account,
				       int (*fn)(void *arg, const struct store_archive_mailbox *m),
				       void *arg, struct fail *why);

struct store_archive_message {
	uint32_t uid;
	uint32_t flags;	     /* system flags */
	struct str keywords; /* separated by spaces */
	struct wall_us internaldate;
	unsigned char sha256[32]; /* of the body */
	uint64_t body_size;
	struct str prefix;
	struct str bytes; /* the body, unless it is a file */
	bool is_file;
	unsigned char file[16];
};
/* The live messages of a mailbox, ascending. */
MUST_CHECK int store_archive_messages(struct store_archive *a, struct account_id account,
				      struct mailbox_id mailbox,
				      int (*fn)(void *arg, const struct store_archive_message *m),
				      void *arg, struct fail *why);

/* ---- checking and changing (PRIVATE) ---- */

/*
 * The file's own structure, that what is referred to is there, and the hash of each body in it.
 * `bad` is told of each damage: account {0} = the file. Returns how many it told (at most 1000).
 */
MUST_CHECK int store_archive_check(struct store_archive *a,
				   void (*bad)(void *arg, struct account_id account,
					       const char *what),
				   void *arg, struct fail *why);

/*
 * Make a file of the same form that holds one account, or one mailbox of it, at `path` (which must
 * not exist). -FAIL_NOTFOUND: no such account or mailbox.
 */
MUST_CHECK int store_archive_extract(struct store_archive *a, const char *source_path,
				     struct account_id account, struct str mailbox,
				     const char *path, struct fail *why);

struct store_archive_raise {
	struct wall_us now;
	const unsigned char *old_spool, *new_spool; /* 16 bytes each */
	/* Does the restored spool still hold this recipient? */
	bool (*pending)(void *arg, uint64_t number, uint64_t rcpt);
	void *arg;
	bool keep_uidvalidity;
};
/*
 * What has to change in a partition that is put back: every UIDVALIDITY and account epoch grows
 * past what the lost server may have given, and receipts follow the spool into its new epoch when
 * their delivery could be repeated; all others of the old epoch go. One transaction.
 */
MUST_CHECK int store_archive_raise(struct store_archive *a, const struct store_archive_raise *how,
				   struct fail *why);

#endif

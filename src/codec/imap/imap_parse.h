/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imap_parse.h - between the files of the command parser.                      [codec, private]
 *
 * Each function reads the arguments behind a command's name, from the space on, into *cmd.
 */
#ifndef BARID_CODEC_IMAP_PARSE_H
#define BARID_CODEC_IMAP_PARSE_H

#include "codec/imap/imap_cmd.h"

typedef int imap_parse_fn(struct imap_lex *lex, struct imap_cmd *cmd);

/* imap_parse_mailbox.c */
imap_parse_fn imap_parse_select, imap_parse_create, imap_parse_rename, imap_parse_mailbox_only,
	imap_parse_list, imap_parse_lsub, imap_parse_status, imap_parse_quota, imap_parse_setquota,
	imap_parse_acl, imap_parse_setacl;
/* imap_parse_append.c */
imap_parse_fn imap_parse_append, imap_parse_replace;
/* imap_parse_message.c */
imap_parse_fn imap_parse_fetch, imap_parse_store, imap_parse_copy, imap_parse_expunge;
/* imap_parse_url.c */
imap_parse_fn imap_parse_genurlauth, imap_parse_urlfetch, imap_parse_resetkey;
/* imap_parse_notify.c */
imap_parse_fn imap_parse_notify;
/* imap_parse_metadata.c */
imap_parse_fn imap_parse_getmetadata, imap_parse_setmetadata;
/* "(" entry *(SP entry) ")" */
int imap_parse_entries(struct imap_lex *lex, const struct str **ret, size_t *ret_n) MUST_CHECK;
/* imap_parse_search.c */
/* Which mailboxes, as NOTIFY and ESEARCH have it: filter and mailbox are set. */
int imap_parse_mailbox_filter(struct imap_lex *lex, struct imap_notify_group *ret) MUST_CHECK;
imap_parse_fn imap_parse_esearch, imap_parse_search, imap_parse_sort, imap_parse_thread,
	imap_parse_cancelupdate, imap_parse_uidbatches, imap_parse_comparator;

/* "(" [flag *(SP flag)] ")" */
int imap_parse_flag_list(struct imap_lex *lex, struct imap_flags *ret) MUST_CHECK;
/* flag *(SP flag), without parentheses */
int imap_parse_bare_flags(struct imap_lex *lex, struct imap_flags *ret) MUST_CHECK;
/* "(" fetch-att *(SP fetch-att) ")" */
int imap_parse_fetch_atts(struct imap_lex *lex, const struct imap_fetch_att **ret,
			  size_t *ret_n) MUST_CHECK;
/* SP nz-number ":" nz-number, or both with "-" (RFC 9394), behind the word PARTIAL */
int imap_parse_partial(struct imap_lex *lex, struct imap_partial *ret) MUST_CHECK;
/* *("\\" flag SP), as APPEND may have it without parentheses (IMAP_QUIRK_BARE_FLAGS) */
int imap_parse_append_flags(struct imap_lex *lex, struct imap_flags *ret) MUST_CHECK;
int imap_parse_set(struct imap_lex *lex, struct seqset *ret) MUST_CHECK;
/* imap_parse_qresync.c: SP "(" uidvalidity SP modseq [SP known-uids] [SP seq-match-data] ")" */
int imap_parse_qresync(struct imap_lex *lex, struct imap_qresync *ret) MUST_CHECK;

/*
 * "(" item *(SP item) ")", each read by item(lex, arg); blanks after "(" and before ")" pass. An
 * empty list is right only when may_be_empty.
 */
int imap_parse_items(struct imap_lex *lex, const char *what, bool may_be_empty,
		     int (*item)(struct imap_lex *lex, void *arg), void *arg) MUST_CHECK;

/*
 * Room for one more element behind `count` of an array in the arena, which moves as it grows.
 * Returns 0, or -FAIL_LIMIT ("too many WHAT").
 */
int imap_parse_grow(struct imap_lex *lex, void **array, size_t count, size_t size, size_t max,
		    const char *what) MUST_CHECK;
#define IMAP_GROW(lex, array, count, max, what)                                                    \
	imap_parse_grow((lex), (void **)(array), (count), sizeof **(array), (max), (what))

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imap_flags.h - names with a fixed meaning: system flags, special uses, STATUS items.
 *                                                                              [codec, pure]
 * RFC 3501 sections 2.3.2 and 6.3.10, RFC 9051 section 6.3.11, RFC 6154, RFC 7162, RFC 8438. Bit
 * values are stable: they may be stored.
 */
#ifndef BARID_CODEC_IMAP_FLAGS_H
#define BARID_CODEC_IMAP_FLAGS_H

#include "base/buf.h"

enum imap_flag {
	IMAP_FLAG_ANSWERED = 1u << 0,
	IMAP_FLAG_FLAGGED = 1u << 1,
	IMAP_FLAG_DELETED = 1u << 2,
	IMAP_FLAG_SEEN = 1u << 3,
	IMAP_FLAG_DRAFT = 1u << 4,
	IMAP_FLAG_RECENT = 1u << 5, /* written only, never parsed */
};
#define IMAP_FLAGS_SETTABLE 0x1fu

struct imap_flags {
	uint32_t bits; /* enum imap_flag */
	const struct str
		*keyword; /* as the client wrote them, without duplicates (case-insensitive) */
	size_t keyword_count;
};

enum imap_special_use { /* RFC 6154 */
			IMAP_USE_ALL = 1u << 0,
			IMAP_USE_ARCHIVE = 1u << 1,
			IMAP_USE_DRAFTS = 1u << 2,
			IMAP_USE_FLAGGED = 1u << 3,
			IMAP_USE_JUNK = 1u << 4,
			IMAP_USE_SENT = 1u << 5,
			IMAP_USE_TRASH = 1u << 6,
};

enum imap_status_item {
	IMAP_STATUS_MESSAGES = 1u << 0,
	IMAP_STATUS_RECENT = 1u << 1,
	IMAP_STATUS_UIDNEXT = 1u << 2,
	IMAP_STATUS_UIDVALIDITY = 1u << 3,
	IMAP_STATUS_UNSEEN = 1u << 4,
	IMAP_STATUS_HIGHESTMODSEQ = 1u << 5,	/* RFC 7162 */
	IMAP_STATUS_DELETED = 1u << 6,		/* RFC 9051 */
	IMAP_STATUS_SIZE = 1u << 7,		/* RFC 8438, RFC 9051 */
	IMAP_STATUS_APPENDLIMIT = 1u << 8,	/* RFC 7889 */
	IMAP_STATUS_MAILBOXID = 1u << 9,	/* RFC 8474 */
	IMAP_STATUS_DELETED_STORAGE = 1u << 10, /* RFC 9208 */
};

/* A table of names for the bits above; the names of flags and uses begin with a backslash. */
struct imap_name {
	uint32_t bit;
	const char *name;
};
extern const struct imap_name imap_flag_names[];	/* ends with name NULL */
extern const struct imap_name imap_special_use_names[]; /* the same */
extern const struct imap_name imap_status_names[];	/* the same */
extern const struct imap_name imap_return_names[];	/* enum imap_search_return but PARTIAL */
extern const struct imap_name imap_sort_names[];	/* 1u << enum imap_sort_by */
extern const struct imap_name imap_thread_names[];	/* 1u << enum imap_thread_algorithm */

/* Bit of a name in a table (case-insensitive), 0 when it is not there. */
uint32_t imap_name_find(const struct imap_name *table, struct str name);
/* Name of one bit; NULL when it is not there. */
const char *imap_name_of(const struct imap_name *table, uint32_t bit);

#endif

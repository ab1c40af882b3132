/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sieve_ext.h - the extensions of Sieve that barid knows.                      [codec, pure]
 *
 * One table. What stands in it works: it can be required, and ManageSieve announces it.
 */
#ifndef BARID_CODEC_SIEVE_EXT_H
#define BARID_CODEC_SIEVE_EXT_H

#include "base/str.h"

enum sieve_ext {
	X_CORE, /* no `require` needed */
	X_BODY,
	X_NUMERIC,
	X_UNICODE,
	X_CONVERT,
	X_COPY,
	X_DATE,
	X_DUPLICATE,
	X_EDITHEADER,
	X_ENCLOSE,
	X_ENCODED_CHARACTER,
	X_ENOTIFY,
	X_ENVELOPE,
	X_ENVELOPE_DSN,
	X_ENVIRONMENT,
	X_EREJECT,
	X_EXTLISTS,
	X_EXTRACTTEXT,
	X_FCC,
	X_FILEINTO,
	X_FOREVERYPART,
	X_IHAVE,
	X_IMAP4FLAGS,
	X_IMAPSIEVE,
	X_INCLUDE,
	X_INDEX,
	X_MAILBOX,
	X_MAILBOXID,
	X_MBOXMETADATA,
	X_MIME,
	X_REDIRECT_DSN,
	X_REGEX,
	X_REJECT,
	X_RELATIONAL,
	X_REPLACE,
	X_SERVERMETADATA,
	X_SPAMTEST,
	X_SPAMTESTPLUS,
	X_SPECIAL_USE,
	X_SUBADDRESS,
	X_VACATION,
	X_VACATION_SECONDS,
	X_VARIABLES,
	X_VIRUSTEST,
	X_EXTRA, /* the commands of a test tool (struct sieve_extra) */
	X_COUNT
};
#define X_BIT(x) (UINT64_C(1) << (x))

struct sieve_ext_row {
	const char *name;
	const char *rfc;
	uint64_t implies; /* extensions that come with it */
};

/* By enum sieve_ext; [X_CORE].name is NULL. */
extern const struct sieve_ext_row sieve_exts[X_COUNT];

/* X_CORE when there is none of this name (and for comparators that need no `require`, which may be
 * named all the same: then *ret_known is true). */
enum sieve_ext sieve_ext_find(struct str name, bool *ret_known);

#endif

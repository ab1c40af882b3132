/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tlsbook.h - what is remembered of other servers' TLS.                          [service]
 *
 * Policies of MTA-STS (RFC 8461) for as long as they say, so that who cuts us off from a domain's
 * policy server gains nothing, also not after a restart; and for each day and domain how sessions
 * went (RFC 8460), for 30 days. One file, docs/formats/tls-book.md.
 *
 * Counts are kept in memory and written by tlsbook_flush: those of the last seconds are lost when
 * the process is killed. A policy is on disk when tlsbook_keep returns.
 *
 * Every call may block on storage; any thread, one at a time inside.
 */
#ifndef BARID_SERVICE_TLSBOOK_TLSBOOK_H
#define BARID_SERVICE_TLSBOOK_TLSBOOK_H

#include "base/arena.h"
#include "base/fail.h"
#include "base/ids.h"

struct fs;
struct tlsbook;

MUST_CHECK int tlsbook_open(const char *path, struct fs *fs, struct tlsbook **ret,
			    struct fail *why);
void tlsbook_close(struct tlsbook *b); /* flushes; NULL is fine */
unsigned tlsbook_format(void);

/* --- policies --- */

struct tlsbook_policy {
	struct str domain;
	struct str id;
	struct wall_us fetched, expires;
	struct str text; /* as it was fetched */
};
/* Keep it in place of the domain's earlier one. */
MUST_CHECK int tlsbook_keep(struct tlsbook *b, const struct tlsbook_policy *p, struct fail *why);
/* 1 = found, in the arena; 0 = none that has not expired at `now`. */
MUST_CHECK int tlsbook_find(struct tlsbook *b, struct str domain, struct wall_us now,
			    struct arena *a, struct tlsbook_policy *ret, struct fail *why);
/* All of them, by domain; at most `max`. */
MUST_CHECK int tlsbook_policies(struct tlsbook *b, size_t max, struct arena *a,
				struct tlsbook_policy **ret, size_t *ret_n, struct fail *why);

/* --- how sessions went --- */

/* One kind of session: all of it but count is its key. */
struct tlsbook_sessions {
	uint32_t day; /* since 1970, UTC */
	struct str domain;
	struct str policy; /* RFC 8460 4.4: "tlsa", "sts", "no-policy-found" */
	struct str result; /* "ok", or a result type of RFC 8460 4.3 */
	struct str mx, ip; /* of the other server; of failures */
	struct str reason; /* of the last one, for people */
	uint64_t count;
};
/*
 * Add to the counts, in memory. Beyond TLSBOOK_KINDS kinds between two flushes what is new counts
 * for its domain and result alone.
 */
#define TLSBOOK_KINDS 20000u
void tlsbook_count(struct tlsbook *b, const struct tlsbook_sessions *s);
/* Write the counts, and forget what is older than 30 days, and policies that have expired. */
MUST_CHECK int tlsbook_flush(struct tlsbook *b, struct wall_us now, struct fail *why);
struct tlsbook_span {
	struct str domain; /* empty = all */
	uint32_t from, to; /* days, both included */
	size_t max;	   /* rows */
};
/*
 * Domains of a day that no report was sent about: the first ones behind `after`. Writes the counts
 * first.
 */
#define TLSBOOK_DUE_MAX 200
struct tlsbook_due {
	struct str v[TLSBOOK_DUE_MAX];
	size_t n;
};
MUST_CHECK int tlsbook_due(struct tlsbook *b, uint32_t day, struct str after, struct arena *a,
			   struct tlsbook_due *ret, struct fail *why);
/* A report about the day was sent, or nobody wants one. */
MUST_CHECK int tlsbook_reported(struct tlsbook *b, uint32_t day, struct str domain,
				struct fail *why);
/* Writes the counts first. The latest day comes first. */
MUST_CHECK int tlsbook_report(struct tlsbook *b, const struct tlsbook_span *span, struct arena *a,
			      struct tlsbook_sessions **ret, size_t *ret_n, struct fail *why);

#endif

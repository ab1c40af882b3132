/* SPDX-License-Identifier: Apache-2.0 */
/*
 * srs_addr.h - the Sender Rewriting Scheme: senders of forwarded mail as addresses of ours. [codec,
 * pure]
 *
 * A message that is forwarded keeps no sender for which only the sender's own servers may speak
 * (SPF); it gets one of the forwarder's that leads back:
 *
 *     SRS0=HHHH=TT=host=local@ours         of local@host; TT is the day, HHHH a keyed hash of it
 * all SRS1=HHHH=host=REST@ours             of an SRS0 address of `host`, whose local part is
 * SRS0REST: no longer with every further forwarder
 *
 * The hash is the beginning of base64(HMAC-SHA1(secret, what it covers in lower case)), compared
 * without regard to case, because servers on the way may change that. The format and the hash are
 * those of the other implementations (libsrs2, postsrsd), so that with one secret each understands
 * the addresses of the others. The clock and HMAC are the caller's; any thread.
 */
#ifndef BARID_CODEC_SRS_SRS_ADDR_H
#define BARID_CODEC_SRS_SRS_ADDR_H

#include "codec/smtp/smtp_addr.h"

#define SRS_SECRETS_MAX	 16
#define SRS_HASH_LEAST	 4   /* characters of a hash: fewer are guessed too soon */
#define SRS_HASH_MOST	 27  /* all of it */
#define SRS_HASH_DEFAULT 4   /* what the others write */
#define SRS_AGE_DEFAULT	 21  /* days */
#define SRS_AGE_MOST	 500 /* days come again after 1,024 */
#define SRS_MAC_LEN	 20

struct srs_rules {
	const struct str *secrets; /* the first signs, all verify */
	size_t n;		   /* at least one */
	unsigned hash_len; /* of addresses that are written; shorter ones are not accepted */
	unsigned age_max;  /* days */
	char separator;	   /* behind SRS0 and SRS1: '=', '+' or '-' */
	/* HMAC-SHA1 (RFC 2104). */
	void (*hmac)(struct str key, struct str text, unsigned char ret[SRS_MAC_LEN]);
};

/* Is it the local part (without quotes) of an address that this scheme wrote, whoever did? */
bool srs_is(struct str plain_local);

/*
 * The address at `domain` (normalised) that stands for `sender`; `day` counts since 1970, UTC. An
 * address of the scheme becomes SRS1. -FAIL_TOOBIG: it would be longer than addresses may be;
 * -FAIL_SYNTAX: no sender, or it cannot be written so. *ret is untouched then.
 */
MUST_CHECK int srs_forward(const struct srs_rules *r, const struct smtp_addr *sender,
			   struct str domain, uint32_t day, struct smtp_addr *ret);

/*
 * Whom a local part (without quotes) of ours stands for. -FAIL_NOTFOUND: it is not of the scheme;
 * -FAIL_SYNTAX: it claims to be, and is not; -FAIL_PERM: no secret of ours made its hash;
 * -FAIL_DEADLINE: it was made longer ago than age_max (only SRS0 has a day).
 */
MUST_CHECK int srs_reverse(const struct srs_rules *r, struct str plain_local, uint32_t day,
			   struct smtp_addr *ret);

#endif
